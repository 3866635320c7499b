"""Write the fuzzer's first inputs: small files of every kind that is read. ``python tests/fuzz/make_corpus.py``"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

CORPUS = Path(__file__).parent / "corpus"

_STATE = {
    "image_encoder.body.stem.conv2.c.weight": torch.zeros(48, 2),
    **{f"image_encoder.body.stages.2.blocks.{number}.w": torch.zeros(1) for number in range(14)},
    "mask_decoder.x": torch.ones(3, dtype=torch.float16),
}


def images() -> Iterator[tuple[str, bytes]]:
    """Name, content."""
    y, x = np.mgrid[0:16, 0:24]
    colour = Image.fromarray(np.stack([x * 10, y * 15, (x + y) * 6], axis=-1).astype(np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds = {
        "plain.jpg": (colour, "JPEG", {}),
        "progressive.jpg": (colour, "JPEG", {"progressive": True}),
        "turned.jpg": (colour, "JPEG", {"exif": turned}),
        "cmyk.jpg": (colour.convert("CMYK"), "JPEG", {}),
        "plain.png": (colour, "PNG", {}),
        "palette.png": (colour.quantize(8), "PNG", {"transparency": 0}),
        "alpha.png": (colour.convert("RGBA"), "PNG", {}),
        "sixteen.png": (Image.fromarray((x * 2000).astype(np.uint16)), "PNG", {}),
        "plain.webp": (colour, "WEBP", {}),
        "lossless.webp": (colour, "WEBP", {"lossless": True}),
        "plain.tif": (colour, "TIFF", {}),
        "deflate.tif": (colour, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "floats.tif": (Image.fromarray((x / 24).astype(np.float32)), "TIFF", {}),
        "plain.bmp": (colour, "BMP", {}),
        "two.gif": (colour.quantize(8), "GIF", {"save_all": True, "append_images": [colour.quantize(4)]}),
        "plain.jp2": (colour, "JPEG2000", {}),
        "plain.ppm": (colour, "PPM", {}),
        "plain.avif": (colour, "AVIF", {}),
    }
    for name, (picture, image_format, options) in kinds.items():
        stream = io.BytesIO()
        picture.save(stream, image_format, **options)
        yield name, stream.getvalue()
    yield "plain.heic", _heic(colour)
    yield "plain_text.ppm", b"P3\n2 2\n255\n" + b" 1 2 3" * 4


def checkpoints() -> Iterator[tuple[str, bytes]]:
    """Name, content."""
    yield "plain.safetensors", save(_STATE, {"canvas": "1024", "variant": "repvit_m0_9"})
    yield "published.safetensors", save({"image_encoder.features.0.0.c.weight": torch.zeros(2)})
    for name, options in (("zip.pt", {}), ("legacy.pt", {"_use_new_zipfile_serialization": False})):
        stream = io.BytesIO()
        torch.save({"model": _STATE}, stream, **options)
        yield name, stream.getvalue()
    yield "code.pt", pickle.dumps(print, 2)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
    yield "packed.pt", stream.getvalue()


def _heic(picture: Image.Image) -> bytes:
    import pillow_heif

    stream = io.BytesIO()
    pillow_heif.from_pillow(picture).save(stream, format="HEIF")
    return stream.getvalue()


def main() -> None:
    """Write all of them, in a folder for each target."""
    for target, files in (("image", images()), ("checkpoint", checkpoints())):
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files:
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
