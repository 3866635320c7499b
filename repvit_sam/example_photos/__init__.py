"""The photographs that come with the package (NOTICE has their sources): for a first try, tests and export checks."""

from __future__ import annotations

from pathlib import Path

EXAMPLE_PHOTOS = ("chelsea", "coffee", "astronaut", "rocket")


def example_photo(name: str) -> Path:
    """The file of one of ``EXAMPLE_PHOTOS``.

    Raises:
        ValueError: no photograph of that name comes with the package.

    Example:
        >>> import repvit_sam
        >>> repvit_sam.read_photo(repvit_sam.example_photo("coffee")).shape
        (400, 600, 3)
    """
    if name not in EXAMPLE_PHOTOS:
        raise ValueError(f"example photos are {', '.join(EXAMPLE_PHOTOS)}, got {name!r}")
    return Path(__file__).parent / f"{name}.jpg"
