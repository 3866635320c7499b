"""Files, bytes, PIL images, arrays and tensors -> a photo: (H, W, 3) uint8 RGB, the way a person sees it.

EXIF orientation is applied, transparency is laid on white, grey, palette and CMYK become RGB, 16 bits become 8, and of
several frames the first is taken. Colour profiles are not applied (the network was not trained with them either).
"""

from __future__ import annotations

import glob
import io
import os
import warnings
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import PhotoError
from .photo_bombs import check_jpeg, check_ratio, check_tiff

Photo = NDArray[np.uint8]


class TensorLike(Protocol):
    """A ``torch.Tensor``, named without importing torch."""

    @property
    def ndim(self) -> int: ...

    @property
    def shape(self) -> Any: ...

    def permute(self, *dims: int) -> Any: ...

    def detach(self) -> Any: ...


PhotoSource = Union[str, "os.PathLike[str]", bytes, bytearray, BinaryIO, Image.Image, NDArray[Any], TensorLike]

MAX_BYTES = 512 * 2**20
MAX_PIXELS = 150_000_000  # 12,000 x 9,000 is 108 million

# Pillow can open many more formats (some with external programs); these are the ones for photographs.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "PPM", "AVIF")
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".tif",
    ".tiff",
    ".bmp",
    ".gif",
    ".jp2",
    ".ppm",
    ".avif",
    ".heic",
    ".heif",
)
_EXIF_ORIENTATION = 0x0112
_PIXELS_AT_ONCE = 4_000_000
_ORIENTATIONS_ON_THE_SIDE = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def read_photo(source: PhotoSource, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo.

    Args:
        source: a path, the bytes of a file, an open binary file, a PIL image, a NumPy array (H, W), (H, W, 1 | 3 | 4)
            in RGB order, or a torch tensor (1 | 3 | 4, H, W). Arrays are uint8, uint16, bool, or float in 0..1.
        max_pixels: pictures with more are refused, before any pixel is decoded.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous.

    Raises:
        PhotoError: the source is missing, empty, damaged, too large, or not a picture.

    Example:
        >>> import repvit_sam
        >>> photo = repvit_sam.read_photo(repvit_sam.example_photo("coffee"))
        >>> photo.shape, photo.dtype
        ((400, 600, 3), dtype('uint8'))
    """
    if isinstance(source, Image.Image):
        return _from_pil(source, "the PIL image", max_pixels)
    if isinstance(source, np.ndarray):
        return _from_array(source, "a photo array")
    if isinstance(source, (bytes, bytearray)):
        return _from_bytes(bytes(source), "the given bytes", max_pixels)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(os.fspath(source), max_pixels)
    if hasattr(source, "permute"):  # a torch tensor
        return _from_tensor(source)
    if hasattr(source, "read"):
        try:
            data = source.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            raise PhotoError(f"the given file cannot be read: {error}") from None
        if not isinstance(data, bytes):
            raise PhotoError("a photo file must be opened in binary mode ('rb'); got one opened as text")
        return _from_bytes(data, "the given file", max_pixels)
    raise PhotoError(
        "a photo must be a path, bytes, a binary file, a PIL image, a NumPy array or a torch tensor, "
        f"got {type(source).__name__}"
    )


def photo_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels, as ``read_photo`` returns the photo, read from the file's header alone.

    Raises:
        PhotoError: not a picture.
    """
    try:
        with Image.open(path, formats=_formats()) as photo:
            width, height = photo.size
            turned = photo.getexif().get(_EXIF_ORIENTATION) in _ORIENTATIONS_ON_THE_SIDE
    except Exception as error:  # as in _from_bytes
        raise PhotoError(f"{path} cannot be read as a photo: {error}") from None
    return (width, height) if turned else (height, width)


def find_photos(words: list[str]) -> list[Path]:
    """Paths, folders and glob patterns -> the photo files, each once; those of a folder are sorted by name.

    Raises:
        PhotoError: a folder or pattern without photos. A path that does not exist is returned, for ``read_photo`` to
            report.
    """
    found: dict[Path, None] = {}
    for word in words:
        path = Path(word)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
        elif not path.exists() and any(sign in word for sign in "*?["):
            inside = sorted(Path(name) for name in glob.glob(word, recursive=True) if Path(name).is_file())
        else:
            inside = [path]
        if not inside:
            raise PhotoError(f"{word}: no photos here (looked for {', '.join(SUFFIXES)})")
        found.update(dict.fromkeys(inside))
    return list(found)


def _from_path(name: str, max_pixels: int) -> Photo:
    if name.startswith(("http://", "https://")):
        raise PhotoError(f"{name} is a web address; download the photo first and give its path")
    path = Path(name)
    try:
        if path.is_dir():
            raise PhotoError(f"{name} is a folder, expected a photo file")
        if not path.exists():
            raise PhotoError(f"{name} does not exist")
        if not path.is_file():
            raise PhotoError(f"{name} is not a regular file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise PhotoError(f"{name} has {size:,} bytes; the limit is {MAX_BYTES:,}")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, PhotoError):
            raise
        raise PhotoError(f"{name!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return _from_bytes(data, name, max_pixels)


def _from_bytes(data: bytes, name: str, max_pixels: int) -> Photo:
    if not data:
        raise PhotoError(f"{name}: empty, no picture inside")
    if len(data) > MAX_BYTES:
        raise PhotoError(f"{name} has more than {MAX_BYTES:,} bytes, the limit")
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return _from_heif(data, name, max_pixels)
    check_tiff(data, name)
    try:
        with warnings.catch_warnings():
            # _check_pixels applies our own limit, before any pixel is decoded
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError:
        raise PhotoError(f"{name} is not a picture in a known format ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise PhotoError(f"{name} is larger than {max_pixels:,} pixels, the limit") from None
    except Exception as error:  # a damaged header can raise nearly anything in a decoder
        raise PhotoError(f"{name} is damaged: {error}") from error
    _check_pixels(*image.size, name, max_pixels)
    check_ratio(*image.size, len(data), name)
    if image.format in ("JPEG", "MPO"):
        check_jpeg(*image.size, data, name)
    return _from_pil(image, name, max_pixels)


def _formats() -> list[str]:
    """Those of ``FORMATS`` that this Pillow was built with."""
    Image.init()
    return [image_format for image_format in FORMATS if image_format in Image.OPEN]


def _from_heif(data: bytes, name: str, max_pixels: int) -> Photo:
    try:
        import pillow_heif  # optional; used as a reader only, never registered with Pillow
    except ImportError:
        raise PhotoError(f"{name} is a HEIC picture; install the reader for it: pip install pillow-heif") from None
    try:
        heif = pillow_heif.open_heif(data)
        _check_pixels(heif.size[0], heif.size[1], name, max_pixels)  # before any pixel is decoded
        check_ratio(heif.size[0], heif.size[1], len(data), name)
        return _from_pil(heif.to_pillow(), name, max_pixels)
    except PhotoError:
        raise
    except Exception as error:
        raise PhotoError(f"{name} is damaged: {error}") from error


def _from_pil(image: Image.Image, name: str, max_pixels: int) -> Photo:
    width, height = image.size
    _check_pixels(width, height, name, max_pixels)
    try:
        image.load()
        if image.getexif().get(_EXIF_ORIENTATION, 1) != 1:  # without a turn, Pillow would copy the picture
            image = ImageOps.exif_transpose(image)
        return np.ascontiguousarray(_to_rgb(image, name))
    except PhotoError:
        raise
    except MemoryError:
        raise PhotoError(f"{name} is {width}x{height}; not enough memory to decode it") from None
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, EOFError, ... for damaged files
        raise PhotoError(f"{name} is damaged or cut off: {error}") from error


def _check_pixels(width: int, height: int, name: str, max_pixels: int = MAX_PIXELS) -> None:
    if width < 1 or height < 1:
        raise PhotoError(f"{name} is {width}x{height} pixels; at least 1x1 is needed")
    if width * height > max_pixels:
        raise PhotoError(f"{name} is {width}x{height}, more than {max_pixels:,} pixels, the limit")


def _to_rgb(image: Image.Image, name: str) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        return _from_array(np.asarray(image).astype(np.uint16), name)
    if image.mode == "I":  # 32-bit integers; older versions of Pillow open a 16-bit PNG as these
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise PhotoError(f"{name} holds 32-bit integers beyond 0..65535; convert it to 8 or 16 bits")
        return _from_array(values.astype(np.uint8 if values.max() < 256 else np.uint16), name)
    if image.mode == "F":
        return _from_array(np.asarray(image), name)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return _pixels(image if image.mode == "RGB" else image.convert("RGB"))


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) of an RGB picture, some rows at a time: all at once, Pillow holds a large photo three times."""
    width, height = image.size
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    rows = max(1, _PIXELS_AT_ONCE // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def _from_array(array: NDArray[Any], name: str) -> Photo:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise PhotoError(f"{name} must have shape (H, W), (H, W, 3) or (H, W, 4), got {array.shape}")
    _check_pixels(array.shape[1], array.shape[0], name)
    array = _to_uint8(array, name)
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    elif array.shape[2] == 4:  # on white, as for files
        alpha = array[..., 3:].astype(np.float32) / 255
        array = (array[..., :3] * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)
    return np.ascontiguousarray(array)


def _to_uint8(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise PhotoError(f"{name} must be finite, got NaN or infinity")
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 1:
            raise PhotoError(
                f"{name} holds floats, which must lie in 0..1, got {low:.4g}..{high:.4g}; for 0..255 use dtype uint8"
            )
        return (array * 255 + 0.5).astype(np.uint8)
    raise PhotoError(f"{name} must be uint8, uint16, bool or float in 0..1, got dtype {array.dtype}")


def _from_tensor(tensor: Any) -> Photo:
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise PhotoError(f"a photo tensor must have shape (3, H, W), got {tuple(tensor.shape)}")
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # NumPy has no bfloat16
    return _from_array(tensor.permute(1, 2, 0).numpy(), "a photo tensor")
