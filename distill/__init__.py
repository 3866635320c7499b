"""Distillation: a small image encoder learns the embeddings of a larger Segment Anything, then its masks."""

from importlib.util import find_spec

_MISSING = [name for name in ("lightning_fabric", "pydantic", "yaml", "tensorboard") if find_spec(name) is None]
if _MISSING:
    raise ImportError(f"training needs {', '.join(_MISSING)}; install them: pip install 'repvit-sam[train]'")
