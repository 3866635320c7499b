import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, features

from repvit_sam import photo as photo_module
from repvit_sam.errors import PhotoError
from repvit_sam.photo import find_photos, read_photo


def encoded(image, image_format, **options):
    stream = io.BytesIO()
    image.save(stream, format=image_format, **options)
    return stream.getvalue()


@pytest.fixture
def image(formula_photo):
    return Image.fromarray(formula_photo)


def png_start(width, height):
    """The start of a PNG that claims this size; its pixels are missing."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.mark.parametrize(("image_format", "options"), [
    ("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("PPM", {}),
])  # fmt: skip
def test_lossless_formats_come_back_exactly(image, formula_photo, image_format, options):
    np.testing.assert_array_equal(read_photo(encoded(image, image_format, **options)), formula_photo)


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "AVIF", "JPEG2000"])
def test_lossy_formats_come_back_nearly(image, formula_photo, image_format):
    if image_format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    found = read_photo(encoded(image, image_format, quality=95))
    assert found.shape == formula_photo.shape
    assert np.abs(found.astype(int) - formula_photo).mean() < 12


def test_heic_is_read_where_its_reader_is_installed(image, formula_photo):
    pillow_heif = pytest.importorskip("pillow_heif", reason="the heic extra is not installed")
    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, format="HEIF", quality=95)
    assert read_photo(stream.getvalue()).shape == formula_photo.shape


def test_path_bytes_file_pil_array_and_tensor_give_the_same(tmp_path, image, formula_photo):
    path = tmp_path / "photo.png"
    image.save(path)
    with path.open("rb") as stream:
        sources = [path, str(path), path.read_bytes(), stream, image, formula_photo]
        sources += [
            torch.from_numpy(formula_photo).permute(2, 0, 1),
            torch.from_numpy(formula_photo / 255).permute(2, 0, 1),
        ]
        for source in sources:
            np.testing.assert_array_equal(read_photo(source), formula_photo)


def test_a_photo_is_read_in_parts_of_whole_rows(image, formula_photo, monkeypatch):
    for pixels in (1, 1000, 301 * 228):  # less than a row; three rows; all rows but one
        monkeypatch.setattr("repvit_sam.photo._PIXELS_AT_ONCE", pixels)
        np.testing.assert_array_equal(read_photo(encoded(image, "PNG")), formula_photo)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(image, formula_photo, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_photo(encoded(image, "PNG", exif=exif))
    upright = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: np.rot90,
    }  # fmt: skip
    np.testing.assert_array_equal(found, upright[orientation](formula_photo))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_colour_modes_become_rgb_as_pillow_shows_them(image, mode):
    converted = image.convert(mode)
    image_format = "PNG" if mode in ("1", "L", "P") else "TIFF"
    expected = np.asarray(Image.open(io.BytesIO(encoded(converted, image_format))).convert("RGB"))
    np.testing.assert_array_equal(read_photo(encoded(converted, image_format)), expected)


def test_transparency_is_laid_on_white(formula_photo):
    rgba = np.dstack([formula_photo, np.zeros(formula_photo.shape[:2], np.uint8)])
    rgba[:100, :, 3] = 255
    for source in (rgba, Image.fromarray(rgba), encoded(Image.fromarray(rgba), "PNG")):
        found = read_photo(source)
        np.testing.assert_array_equal(found[:100], formula_photo[:100])
        assert (found[100:] == 255).all()


def test_a_transparent_palette_colour_is_laid_on_white():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 1)
    found = read_photo(encoded(image, "PNG", transparency=0))
    assert found[0, 0].tolist() == [200, 100, 50]
    assert (found[1:] == 255).all()


def test_sixteen_bit_grey_keeps_its_range():
    deep = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(3, 0)
    expected = np.arange(256, dtype=np.uint8)
    for source in (deep, encoded(Image.fromarray(deep), "PNG"), encoded(Image.fromarray(deep), "TIFF")):
        np.testing.assert_array_equal(read_photo(source)[0, :, 0], expected)


def test_grey_float_and_bool_arrays_are_photos_too(formula_photo):
    grey = formula_photo[..., 0]
    np.testing.assert_array_equal(read_photo(grey), np.dstack([grey] * 3))
    np.testing.assert_array_equal(read_photo(grey[..., None]), np.dstack([grey] * 3))
    np.testing.assert_array_equal(read_photo(formula_photo / 255), formula_photo)
    assert set(np.unique(read_photo(grey > 99))) == {0, 255}


def test_one_pixel_is_a_photo():
    assert read_photo(encoded(Image.new("RGB", (1, 1), "red"), "PNG")).tolist() == [[[255, 0, 0]]]


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_photo(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.slow
def test_108_megapixels_are_read_without_a_warning():
    data = encoded(Image.new("RGB", (12000, 9000), "green"), "JPEG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(data).shape == (9000, 12000, 3)


def file_with(data):
    """A maker of a file in the test's folder that has a photo's name and this content."""

    def make(folder):
        (folder / "photo.jpg").write_bytes(data)
        return folder / "photo.jpg"

    return make


def given(source):
    return lambda folder: source


def closed(path):
    with path.open("rb") as stream:
        pass
    return stream


JPEG = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")
PNG = encoded(Image.new("RGB", (64, 64)), "PNG")
# what people and machines pass instead of a photo: (name, how it is made, words of the message)
HOSTILE = [
    ("missing", lambda folder: folder / "none.jpg", "does not exist"),
    ("folder", lambda folder: folder, "is a folder"),
    ("web address", given("https://example.com/a.jpg"), "download"),
    ("null byte", given("a\0b.jpg"), "cannot be read|does not exist"),
    ("very long name", given("x" * 5000 + ".jpg"), "cannot be read"),
    ("device", given("/dev/null"), "not a regular file"),
    ("empty file", file_with(b""), "empty"),
    ("no bytes", given(b""), "empty"),
    ("text as jpg", file_with(b"this is no picture"), "not a picture"),
    ("web page as jpg", file_with(b"<!DOCTYPE html><html>404</html>"), "not a picture"),
    ("svg as jpg", file_with(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "not a picture"),
    ("random bytes", given(bytes(range(256))), "not a picture"),
    ("cut-off jpg", file_with(JPEG[: len(JPEG) // 2]), "damaged or cut off"),
    ("cut-off png", given(PNG[:-30]), "damaged"),
    ("flipped bytes in png", given(PNG[:45] + bytes(255 - b for b in PNG[45:60]) + PNG[60:]), "damaged"),
    ("header alone", given(png_start(64, 64)), "damaged"),
    ("bomb", given(png_start(60_000, 60_000)), "pixels, the limit"),
    ("bomb below Pillow's limit", given(png_start(13_000, 13_000)), "pixels, the limit"),
    ("zero pixels", given(png_start(0, 10)), "at least 1x1|not a picture|damaged"),
    ("closed file", lambda folder: closed(file_with(PNG)(folder)), "closed"),
    ("text file object", given(io.StringIO("x")), "binary mode"),
    ("None", given(None), "must be a path"),
    ("number", given(7), "must be a path"),
    ("list", given([[1, 2], [3, 4]]), "must be a path"),
    ("1-d array", given(np.zeros(10, np.uint8)), "shape"),
    ("4-d array", given(np.zeros((1, 4, 4, 3), np.uint8)), "shape"),
    ("two channels", given(np.zeros((4, 4, 2), np.uint8)), "shape"),
    ("CHW array", given(np.zeros((3, 40, 50), np.uint8)), "shape"),
    ("array without pixels", given(np.zeros((0, 5, 3), np.uint8)), "at least 1x1"),
    ("int64 array", given(np.zeros((4, 4, 3), np.int64)), "dtype int64"),
    ("object array", given(np.full((4, 4, 3), "x", dtype=object)), "dtype object"),
    ("complex array", given(np.zeros((4, 4, 3), complex)), "dtype complex128"),
    ("NaN array", given(np.full((4, 4, 3), np.nan)), "finite"),
    ("float 0..255", given(np.full((4, 4, 3), 200.0)), r"0\.\.1"),
    ("HWC tensor", given(torch.zeros(40, 50, 3)), "shape"),
    ("4-d tensor", given(torch.zeros(1, 3, 8, 8)), "shape"),
    ("int tensor", given(torch.zeros(3, 8, 8, dtype=torch.int64)), "dtype int64"),
    ("huge array", given(np.broadcast_to(np.zeros(3, np.uint8), (20_000, 20_000, 3))), "pixels"),
]


@pytest.mark.parametrize(("make", "words"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_what_is_no_photo_gets_its_own_sentence(tmp_path, make, words):
    with pytest.raises(PhotoError, match=words) as caught:
        read_photo(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_too_many_bytes_are_refused_before_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_module, "MAX_BYTES", 100)
    (tmp_path / "big.jpg").write_bytes(bytes(101))
    for source in (tmp_path / "big.jpg", bytes(101), io.BytesIO(bytes(101))):
        with pytest.raises(PhotoError, match="bytes"):
            read_photo(source)


def test_a_failed_read_names_the_file(tmp_path):
    (tmp_path / "text.jpg").write_text("x" * 100)
    with pytest.raises(PhotoError, match=r"text\.jpg"):
        read_photo(tmp_path / "text.jpg")


def test_folders_and_patterns_stand_for_their_photos(tmp_path, image):
    for name in ("b.png", "a.png", "note.txt"):
        image.save(tmp_path / name, format="PNG")
    found = [tmp_path / "a.png", tmp_path / "b.png"]
    assert find_photos([str(tmp_path)]) == found
    assert find_photos([str(tmp_path / "*.png"), str(tmp_path / "a.png")]) == found
    with pytest.raises(PhotoError, match="no photos here"):
        find_photos([str(tmp_path / "*.tiff")])
