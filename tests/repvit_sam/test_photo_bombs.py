"""Small files that cost much, and files that are nearly pictures."""

import io
import struct
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from repvit_sam.errors import PhotoError
from repvit_sam.photo import FORMATS, photo_size, read_photo

from ..hostile import answer, nearly_bytes

_PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8))


def encoded(picture, image_format, **options):
    stream = io.BytesIO()
    picture.save(stream, "jpeg" if image_format == "MPO" else image_format, **options)
    return stream.getvalue()


Image.init()
FILES = [encoded(_PICTURE, name) for name in FORMATS if name in {"MPO", *Image.SAVE}]  # Pillow 10 has no AVIF


@given(st.sampled_from(FILES).flatmap(nearly_bytes) | st.binary(max_size=200))
def test_any_bytes_are_a_photo_or_refused_in_one_sentence(data):
    photo = answer(read_photo, data, 1_000_000, errors=PhotoError)
    assert photo is None or (photo.ndim == 3 and photo.dtype == np.uint8)


@given(st.sampled_from(FILES).flatmap(nearly_bytes))
def test_the_size_of_any_file_is_read_or_refused_in_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "photo.bin"
    path.write_bytes(data)
    answer(photo_size, path, errors=PhotoError)


def test_a_large_picture_in_a_few_bytes_is_refused_before_it_is_decoded():
    data = encoded(Image.new("RGB", (5000, 5000), "gray"), "WEBP", lossless=True)
    started = time.process_time()
    with pytest.raises(PhotoError, match=r"5000x5000 pixels in only [\d,]+ bytes, more than 10,000 pixels a byte"):
        read_photo(data)
    assert time.process_time() - started < 0.5


def test_a_large_flat_picture_of_the_usual_kind_is_read():
    flat = Image.new("L", (4500, 4000), 128)
    assert read_photo(encoded(flat, "JPEG")).shape == (4000, 4500, 3)


def progressive(side, passes):
    """A progressive JPEG whose last pass is there many times."""
    data = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xc4")  # its Huffman table, and the pass
    return data[:-2] + data[last:-2] * passes + data[-2:]


def test_a_jpeg_of_many_passes_is_refused_and_one_of_the_usual_number_read():
    assert read_photo(progressive(2000, 10)).shape == (2000, 2000, 3)
    with pytest.raises(PhotoError, match="2000x2000 pixels in 1,006 passes"):
        read_photo(progressive(2000, 1000))


def tiff_of_tiles(side, order="<", tag=324):
    """A grey TIFF in tiles of one pixel, all of them the same byte of the file."""
    count = side * side
    entries = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (277, 1), (322, 1), (323, 1)]
    base = 8 + 2 + 10 * 12 + 4
    rows = [struct.pack(f"{order}HHII", number, 4, 1, value) for number, value in entries]
    rows += [struct.pack(f"{order}HHII", tag, 4, count, base), struct.pack(f"{order}HHII", tag + 1, 4, count, base)]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(rows))
    return head + b"".join(rows) + bytes(4) + struct.pack(f"{order}I", 8) * count


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_in_specks_is_refused_before_its_tiles_are_listed(order):
    data = tiff_of_tiles(1000, order)
    started = time.process_time()
    with pytest.raises(PhotoError, match="TIFF of 1,000,000 tiles, more than 200,000"):
        read_photo(data)
    assert time.process_time() - started < 0.5
    assert read_photo(tiff_of_tiles(20, order)).shape == (20, 20, 3)
