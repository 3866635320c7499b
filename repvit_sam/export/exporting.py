"""A checkpoint -> files for phones, browsers, other runtimes: written beside, compared with PyTorch, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..backends.onnx_session import open_session
from ..embedding import encoder_fingerprint
from ..errors import ExportError
from ..files import sha256_of
from ..load import load
from ..modeling.image_encoder import FAMILIES
from ..modeling.sam import SamModel
from ..photo import Photo
from . import metadata as manifest
from .coreml import LARGEST_CANVAS, PROMPT_SLOTS
from .coreml import PRECISIONS as COREML_PRECISIONS
from .traceable import prepare
from .verify import Comparison, Reference, check

ONNX_PRECISIONS = ("fp32", "fp16", "int8")
PARTS = {"encoder": ("encoder",), "decoder": ("decoder",), "both": ("encoder", "decoder")}
Say = Callable[[str], None]
Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What to export.

    Attributes:
        checkpoint: a name of the catalogue, or a file.
        out: the folder to write into.
        part: "encoder", "decoder" or "both".
        precision: Core ML: fp16, fp32, palette8, linear8; ONNX: fp32, fp16, int8.
        canvas: side of the canvas in pixels; None takes the checkpoint's.
        force: overwrite what is there.
    """

    checkpoint: str | os.PathLike[str]
    out: Path
    part: str = "both"
    precision: str
    canvas: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ValueError(f"part must be one of {', '.join(PARTS)}, got {self.part!r}")


def export_coreml(
    wish: ExportConfig, picture: bool = True, upscaled: bool = False, say: Say = lambda line: None
) -> list[Path]:
    """Write encoder.mlpackage and decoder.mlpackage.

    Args:
        picture: the encoder takes a picture and normalises it; False takes the finished canvas as a tensor.
        upscaled: the decoder gives its logits at the size of the canvas as well.
        say: gets a line for every step.

    Raises:
        ExportError: files that exist, a missing extra, or a file that does not compute what the model computes.
        ValueError: an unknown precision, part or canvas.
    """
    from .coreml import convert_decoder, convert_encoder, coremltools

    if wish.precision not in COREML_PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(COREML_PRECISIONS)} for Core ML, got {wish.precision!r}")
    _check_coreml_canvas(wish.canvas or 0)  # 0: the checkpoint's own, known once it is read
    coremltools()
    with _Workshop(wish, ".mlpackage", say) as shop:
        canvas = shop.model.canvas_size
        _check_coreml_canvas(canvas)
        for part, path in shop.parts():
            say(f"converting the {part}")
            if part == "encoder":
                package = convert_encoder(shop.prepared, wish.precision, picture)
                ports = manifest.encoder_ports(canvas, picture, "image_embedding", open_batch=False)
            else:
                package = convert_decoder(shop.prepared, wish.precision, upscaled)
                slots = str(PROMPT_SLOTS)
                ports = manifest.decoder_ports(canvas, "image_embedding", "1", slots, "low_res_logits", 4)
                if upscaled:
                    port = manifest.Port("logits", f"(1, 4, {canvas}, {canvas})", "low_res_logits on the canvas")
                    ports = (ports[0], (*ports[1], port))
            facts = shop.facts(part, path, "coreml", ports, prompt_slots=PROMPT_SLOTS if part == "decoder" else 0)
            _describe_package(package, facts)
            package.save(str(path))
            say(f"comparing the {part} with PyTorch")
            shop.accept(facts, _compare_package(shop.reference, part, path, canvas))
        return shop.finish()


def export_onnx(
    wish: ExportConfig,
    calibrate: Path | None = None,
    picture: bool = False,
    single_mask: bool = False,
    say: Say = lambda line: None,
) -> list[Path]:
    """Write encoder.onnx and decoder.onnx.

    Args:
        calibrate: a folder of photographs, for int8.
        picture: the encoder takes uint8 pixels and normalises them; False takes the finished canvas.
        single_mask: the decoder chooses one mask a prompt by SAM's rule; False gives all four.
        say: gets a line for every step.

    Raises: as ``export_coreml``; PhotoError for a folder without photos.
    """
    from .onnx import check as check_onnx
    from .onnx import write_decoder, write_encoder
    from .quantize import calibration_photos, to_fp16, to_int8

    if wish.precision not in ONNX_PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(ONNX_PRECISIONS)} for ONNX, got {wish.precision!r}")
    if wish.precision == "int8" and wish.part != "decoder" and calibrate is None:
        raise ValueError("int8 needs photographs to calibrate on: --calibrate FOLDER")
    if wish.precision == "int8" and picture:
        raise ValueError("int8 takes the finished canvas; leave --picture out")
    photos = calibration_photos(calibrate) if calibrate is not None and wish.precision == "int8" else []
    with _Workshop(wish, ".onnx", say) as shop:
        canvas = shop.model.canvas_size
        for part, path in shop.parts():
            say(f"converting the {part}")
            whole = path.with_name(f"whole.{path.name}")
            # int8 is for the encoder's convolutions; the decoder is small and quick as it is
            precision = "fp32" if wish.precision == "int8" and part == "decoder" else wish.precision
            if part == "encoder":
                write_encoder(shop.prepared, whole, picture)
                ports = manifest.encoder_ports(canvas, picture, "image_embeddings", open_batch=not picture)
            else:
                write_decoder(shop.prepared, whole, single_mask)
                ports = manifest.decoder_ports(
                    canvas, "image_embeddings", "B", "N", "low_res_masks", 1 if single_mask else 4
                )
                size = manifest.Port("orig_im_size", "(2,)", "height and width of the photo in pixels, for masks")
                masks = manifest.Port(
                    "masks", "(B, C, height, width)", "low_res_masks at the size of the photo, logits"
                )
                ports = ((*ports[0], size), (masks, *ports[1][::-1]))
            if precision == "fp16":
                to_fp16(whole, path)
            elif precision == "int8":
                to_int8(whole, path, photos, canvas, lambda done, total: say(f"calibrating: photo {done} of {total}"))
            else:
                os.replace(whole, path)
            whole.unlink(missing_ok=True)
            facts = shop.facts(part, path, "onnx", ports, precision=precision, single_mask=single_mask)
            _describe_onnx(path, facts)
            check_onnx(path)
            say(f"comparing the {part} with PyTorch")
            shop.accept(facts, _compare_onnx(shop.reference, part, path, picture, single_mask))
        return shop.finish()


class _Workshop:
    """A folder beside the results, where files are made and compared; they move to their places together or not."""

    def __init__(self, wish: ExportConfig, suffix: str, say: Say) -> None:
        self._wish, self._say = wish, say
        self._targets = {part: wish.out / f"{part}{suffix}" for part in PARTS[wish.part]}
        there = [str(path) for path in self._targets.values() if path.exists()]
        if there and not wish.force:
            raise ExportError(f"{' and '.join(there)} exist{'s' * (len(there) == 1)}; --force overwrites")
        if wish.out.exists() and not wish.out.is_dir():
            raise ExportError(f"{wish.out} is a file; --out takes a folder")
        if (wish.out / "manifest.json").exists():
            manifest.read_manifest(wish.out / "manifest.json")
        self._accepted: list[tuple[manifest.Facts, Comparison]] = []

    def __enter__(self) -> _Workshop:
        self._say(f"reading {self._wish.checkpoint}")
        self.model: SamModel = load(self._wish.checkpoint, device="cpu", canvas=self._wish.canvas)
        if self.model.variant not in FAMILIES:
            raise ExportError(f"{self.model.variant} is not exported; exported are {', '.join(FAMILIES)}")
        self.prepared = prepare(self.model)
        self.reference = Reference(self.model)
        self._is_new = not self._wish.out.exists()
        self._wish.out.mkdir(parents=True, exist_ok=True)
        self._beside = self._wish.out / f".{secrets.token_hex(4)}"
        self._beside.mkdir()
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._beside, ignore_errors=True)
        if self._is_new and not any(self._wish.out.iterdir()):
            self._wish.out.rmdir()

    def parts(self) -> list[tuple[str, Path]]:
        """Each part, and where to make it."""
        return [(part, self._beside / target.name) for part, target in self._targets.items()]

    def facts(
        self,
        part: str,
        path: Path,
        runtime: str,
        ports: tuple[tuple[manifest.Port, ...], tuple[manifest.Port, ...]],
        precision: str | None = None,
        single_mask: bool = False,
        prompt_slots: int = 0,
    ) -> manifest.Facts:
        """What the file is to say of itself."""
        assert self.model.checkpoint is not None
        return manifest.Facts(
            file=path.name,
            part=part,
            runtime=runtime,
            variant=self.model.variant,
            canvas=self.model.canvas_size,
            precision=precision or self._wish.precision,
            checkpoint=self.model.checkpoint.path.name,
            checkpoint_sha256=sha256_of(self.model.checkpoint.path),
            encoder_fingerprint=encoder_fingerprint(self.model.image_encoder),
            inputs=ports[0],
            outputs=ports[1],
            single_mask=single_mask and part == "decoder",
            prompt_slots=prompt_slots,
        )

    def accept(self, facts: manifest.Facts, comparison: Comparison) -> None:
        """Raise ExportError where a file differs from the model; else keep it and say by how much."""
        check(facts.file, facts.precision, comparison)
        self._say(f"{facts.file} {comparison}")
        self._accepted.append((facts, comparison))

    def finish(self) -> list[Path]:
        """Move everything to its place; where that fails, what was there before comes back."""
        try:
            for target in self._targets.values():
                if target.exists():  # a folder cannot be replaced by a rename: the old one steps aside first
                    os.replace(target, self._aside(target))
                os.replace(self._beside / target.name, target)
            written = self._write_manifest()
        except BaseException:
            self._put_back()
            raise
        return [*self._targets.values(), written]

    def _aside(self, target: Path) -> Path:
        return self._beside / f"old.{target.name}"

    def _put_back(self) -> None:
        for target in self._targets.values():
            made = self._beside / target.name
            if target.exists() and not made.exists():  # it is the new one
                os.replace(target, made)
            if self._aside(target).exists():
                os.replace(self._aside(target), target)

    def _write_manifest(self) -> Path:
        verified = {
            facts.file: {"difference": comparison.difference, "mask_iou": comparison.mask_iou}
            for facts, comparison in self._accepted
        }
        return manifest.write_manifest(self._wish.out, [facts for facts, _ in self._accepted], verified)


def _check_coreml_canvas(canvas: int) -> None:
    if canvas > LARGEST_CANVAS:
        raise ValueError(f"canvas must be at most {LARGEST_CANVAS} for Core ML, got {canvas}")


def _describe_package(package: Any, facts: manifest.Facts) -> None:
    package.short_description = facts.sentence
    package.author, package.license, package.version = manifest.AUTHOR, manifest.LICENCE, __version__
    package.user_defined_metadata.update(facts.as_texts())
    for port in facts.inputs:
        package.input_description[port.name] = port.meaning
    for port in facts.outputs:
        package.output_description[port.name] = port.meaning


def _describe_onnx(path: Path, facts: manifest.Facts) -> None:
    import onnx

    model = onnx.load(str(path))
    model.doc_string, model.producer_name, model.producer_version = facts.sentence, "repvit-sam", __version__
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, facts.as_texts())
    onnx.save(model, str(path))


def _compare_package(reference: Reference, part: str, path: Path, canvas_size: int) -> Comparison:
    from .coreml_runtime.model import CoreMLDecoder, CoreMLEncoder

    if part == "decoder":
        decoder = CoreMLDecoder(path, canvas_size)
        return reference.compare_decoder(lambda *prompt: decoder.decode(*prompt)["low_res_logits"])
    encoder = CoreMLEncoder(path, canvas_size)

    def encode(content: Photo, canvas: Array) -> Array:
        # padded with anything at all: the package blanks it
        return encoder.encode_content(content, padding=200) if encoder.takes_pictures else encoder.encode_canvas(canvas)

    return reference.compare_encoder(encode)


def _compare_onnx(reference: Reference, part: str, path: Path, picture: bool, single_mask: bool) -> Comparison:
    session = open_session(path)

    def encode(content: Photo, canvas: Array) -> Array:
        if not picture:
            return session.run(["image_embeddings"], {"canvas": canvas})[0]
        image = np.full((1, 3, *canvas.shape[2:]), 200, dtype=np.uint8)
        image[0, :, : content.shape[0], : content.shape[1]] = content.transpose(2, 0, 1)
        content_hw = np.array(content.shape[:2], dtype=np.float32)
        return session.run(["image_embeddings"], {"image": image, "content_hw": content_hw})[0]

    def decode(embedding: Array, coords: Array, labels: Array, mask_input: Array | None) -> Array:
        if not (labels >= 2).any():
            coords, labels = np.concatenate([coords, [[0, 0]]]), np.concatenate([labels, [-1]])
        low = embedding.shape[-1] * 4
        feeds = {
            "image_embeddings": embedding,
            "point_coords": coords[None].astype(np.float32),
            "point_labels": labels[None].astype(np.float32),
            "mask_input": np.zeros((1, 1, low, low), dtype=np.float32) if mask_input is None else mask_input,
            "has_mask_input": np.array([mask_input is not None], dtype=np.float32),
            "orig_im_size": np.array(reference.fit.photo_hw, dtype=np.float32),
        }
        return session.run(["low_res_masks"], feeds)[0]

    if part == "encoder":
        return reference.compare_encoder(encode)
    return reference.compare_decoder(decode, single_mask)
