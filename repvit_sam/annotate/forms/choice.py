"""The forms of output by name."""

from __future__ import annotations

from .coco import CocoForm
from .form import Form
from .parquet import ParquetForm
from .png import PngForm
from .sa1b import Sa1bForm

FORMS = ("coco", "parquet", "png", "sa1b")


def find_form(name: str) -> Form:
    """The form of a name.

    Raises:
        ValueError: no such form, or a library is missing for it.
    """
    kinds: dict[str, type[Form]] = {"coco": CocoForm, "parquet": ParquetForm, "png": PngForm, "sa1b": Sa1bForm}
    if name not in kinds:
        raise ValueError(f"--format must be one of {', '.join(FORMS)}, got {name!r}")
    return kinds[name]()
