"""Distillation: photos -> teacher's embeddings -> a student that makes the same, and masks people trust."""

from importlib.util import find_spec

_MISSING = [name for name in ("lightning_fabric", "pydantic", "yaml", "tensorboard") if find_spec(name) is None]
if _MISSING:
    raise ImportError(f"training needs {', '.join(_MISSING)}; install them: pip install 'repvit-sam[train]'")
