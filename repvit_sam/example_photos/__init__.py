"""The photographs that come with the package, for examples, tests and export checks. NOTICE has their sources."""

from __future__ import annotations

from pathlib import Path

EXAMPLE_PHOTOS = ("chelsea", "coffee", "astronaut", "rocket")


def example_photo(name: str) -> Path:
    """The path of one of the photographs that come with the package.

    Args:
        name: one of ``EXAMPLE_PHOTOS``: "chelsea" (a cat), "coffee", "astronaut" or "rocket".

    Raises:
        ValueError: no photograph of that name comes with the package.

    Example:
        >>> import repvit_sam
        >>> repvit_sam.read_photo(repvit_sam.example_photo("coffee")).shape
        (400, 600, 3)
    """
    if name not in EXAMPLE_PHOTOS:
        raise ValueError(f"name must be one of {', '.join(EXAMPLE_PHOTOS)}, got {name!r}")
    return Path(__file__).parent / f"{name}.jpg"
