"""Small files that cost much: refused by their headers, before anything is decoded.

Measured on one core: flat pictures of 108 million pixels have 21,000 to 90,000 pixels a byte as WebP, AVIF and JPEG
2000, and at most 1,400 as GIF, PNG, TIFF and JPEG; a JPEG of 4,000 x 4,000 in 200 passes (73 KB) took 5 s, a TIFF of
two million tiles (18 MB) 45 s.
"""

from __future__ import annotations

import struct

from .errors import PhotoError

PIXELS_A_BYTE = 10_000
PIXELS_AT_ANY_RATIO = 16_000_000
MAX_JPEG_WORK = 2_500_000_000  # pixels times passes; progressive JPEGs have about ten
MAX_TILES = 200_000  # of a TIFF; one of 12,000 x 9,000 in tiles of 64 x 64 has 26,000

_LEAST_PASS = 250_000  # pixels in whose time a pass without any is begun and ended
_JPEG_SCAN = b"\xff\xda"
_TIFF_OFFSETS = (273, 324)  # tags with a number for each strip or tile
_TIFF_ORDERS = {b"II": "<", b"MM": ">"}


def check_ratio(width: int, height: int, size: int, name: str) -> None:
    """Raises PhotoError where a large picture comes from too few bytes to be a photograph."""
    pixels = width * height
    if pixels > PIXELS_AT_ANY_RATIO and pixels > PIXELS_A_BYTE * size:
        limit = f"more than {PIXELS_A_BYTE:,} pixels a byte, the limit"
        raise PhotoError(f"{name} is {width}x{height} pixels in only {size:,} bytes, {limit}")


def check_jpeg(width: int, height: int, data: bytes, name: str) -> None:
    """Raises PhotoError for a JPEG whose pixels are gone over again and again.

    Args:
        data: of the file; the passes of a preview inside are counted as well.
    """
    passes = data.count(_JPEG_SCAN)
    if passes * max(width * height, _LEAST_PASS) > MAX_JPEG_WORK:
        raise PhotoError(f"{name} is a JPEG of {width}x{height} pixels in {passes:,} passes, which takes too long")


def check_tiff(data: bytes, name: str) -> None:
    """Raises PhotoError for a TIFF, whatever its name, that is cut into specks. Other files pass."""
    order = _TIFF_ORDERS.get(data[:2])
    try:
        tiles = _tiles(data, order) if order else 0
    except struct.error:  # cut off; the decoder says so
        return
    if tiles > MAX_TILES:
        raise PhotoError(f"{name} is a TIFF of {tiles:,} tiles, more than {MAX_TILES:,}, the limit")


def _tiles(data: bytes, order: str) -> int:
    """How many strips or tiles the first picture of a TIFF or BigTIFF says it has."""
    (version,) = struct.unpack_from(f"{order}H", data, 2)
    is_big = version == 43
    (start,) = struct.unpack_from(f"{order}Q" if is_big else f"{order}I", data, 8 if is_big else 4)
    count_form, entry_form = (f"{order}Q", f"{order}HHQ8x") if is_big else (f"{order}H", f"{order}HHI4x")
    if start > len(data):
        return 0
    (count,) = struct.unpack_from(count_form, data, start)
    start += struct.calcsize(count_form)
    size = struct.calcsize(entry_form)
    entries = (struct.unpack_from(entry_form, data, start + index * size) for index in range(min(count, 4096)))
    return max((length for tag, _, length in entries if tag in _TIFF_OFFSETS), default=0)
