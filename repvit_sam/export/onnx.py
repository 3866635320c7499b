"""Export to ONNX: an encoder, and a decoder with the input and output names of segment_anything's own export."""

from __future__ import annotations

import inspect
import os
import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import __version__
from ..backends.onnx_session import decoder_feeds, open_session
from ..calibration import calibration_photos
from ..canvas import (
    CANVAS_SIZE,
    EMBEDDING_CHANNELS,
    EMBEDDING_STRIDE,
    LOGITS_STRIDE,
    MAX_CANVAS_SIZE,
)
from ..errors import ExportError
from ..modeling.sam import SamModel
from ..photo import Photo
from ..prompts import CanvasPrompts
from .config import ONNX_PRECISIONS, ExportConfig, Log
from .encoder_input import CANVAS, CONVENTIONS, OUTPUT, PICTURE, EncoderInput, feeds_of
from .libraries import import_onnx
from .metadata import ExportMetadata
from .pipeline import run_export
from .quantize import to_fp16, to_int8
from .signatures import Signature, encoder_signature, onnx_decoder_signature
from .traceable import OnnxDecoderModule
from .verify import Comparison, PyTorchReference

OPSET = 17  # the first with LayerNormalization; onnxruntime-web supports it


def export_onnx(
    config: ExportConfig,
    calibrate: Path | None = None,
    picture: bool = False,
    single_mask: bool = False,
    convention: str | None = None,
    log: Log = lambda line: None,
) -> list[Path]:
    """Write encoder.onnx, decoder.onnx and manifest.json.

    Args:
        calibrate: a folder of photographs, for int8.
        picture: the encoder takes uint8 pixels and normalises them; False: the normalised canvas.
        single_mask: the decoder chooses one mask for each prompt by SAM's rule; False: it gives all four.
        convention: write the pair as another program takes it: "samexporter" or "osam" (docs/integrations.md); the
            decoder then gives a single mask. None: as this project takes it.
        log: called with a line of text at every step.

    Returns:
        The files written.

    Raises:
        ExportError: files exist already, a library is missing, or a file differs too much from PyTorch.
        PhotoError: ``calibrate`` holds no photograph.
        ValueError: unknown precision, options that exclude each other, or a canvas size that cannot be used.
    """
    config.check_precision("ONNX", ONNX_PRECISIONS)
    if convention is not None:
        config = _for_convention(config, convention, picture)
    photos: list[Path] = []
    if config.precision == "int8":
        if picture:
            raise ValueError("int8 takes the normalised canvas; leave --picture out")
        if "encoder" in config.parts and calibrate is None:
            raise ValueError("int8 needs photographs for calibration: --calibrate FOLDER")
        photos = [] if calibrate is None else calibration_photos(calibrate)
    import_onnx()
    if convention is None:
        exporter = OnnxExporter(config.precision, PICTURE if picture else CANVAS, single_mask, False, photos, log)
    else:
        exporter = OnnxExporter(config.precision, CONVENTIONS[convention], True, True, photos, log)
    return run_export(config, exporter, log)


def _for_convention(config: ExportConfig, convention: str, picture: bool) -> ExportConfig:
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {', '.join(CONVENTIONS)}, got {convention!r}")
    if picture:
        raise ValueError(f"convention={convention!r} says what the encoder takes; leave --picture out")
    if config.canvas not in (None, CANVAS_SIZE):
        raise ValueError(f"convention={convention!r} is for a canvas of {CANVAS_SIZE}, got {config.canvas}")
    return replace(config, canvas=CANVAS_SIZE)


@dataclass(frozen=True)
class OnnxExporter:
    """ONNX as an ``Exporter``; the fields follow from the arguments of ``export_onnx``."""

    precision: str
    encoder_input: EncoderInput
    single_mask: bool
    empty_slots: bool
    photos: list[Path]
    log: Log
    runtime: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    max_canvas: ClassVar[int] = MAX_CANVAS_SIZE

    def precision_of(self, part: str) -> str:
        """See ``Exporter``. int8 is for the encoder's convolutions; the decoder is small and fast in fp32."""
        return "fp32" if self.precision == "int8" and part == "decoder" else self.precision

    def signature(self, part: str, canvas: int) -> Signature:
        """See ``Exporter``."""
        if part == "encoder":
            return encoder_signature(canvas, self.encoder_input.specs(canvas), OUTPUT)
        return onnx_decoder_signature(canvas, self.single_mask)

    def write(self, model: SamModel, path: Path, metadata: ExportMetadata) -> None:
        """See ``Exporter``."""
        unquantized = path.with_name(f"fp32.{path.name}")
        if metadata.part == "encoder":
            write_encoder(model, unquantized, self.encoder_input)
        else:
            write_decoder(model, unquantized, self.single_mask, self.empty_slots)
        if metadata.precision == "fp16":
            to_fp16(unquantized, path)
        elif metadata.precision == "int8":
            feeds = partial(feeds_of, encoder_input=self.encoder_input, canvas_size=model.canvas_size)
            to_int8(unquantized, path, self.photos, feeds, self._log_calibration)
        else:
            os.replace(unquantized, path)
        set_metadata(path, metadata)
        check_onnx_file(path)

    def compare(self, reference: PyTorchReference, part: str, path: Path) -> Comparison:
        """See ``Exporter``."""
        session = open_session(path)

        def encode(content: Photo, canvas: NDArray[Any]) -> NDArray[Any]:
            return session.run([OUTPUT], self.encoder_input.feeds(content, canvas))[0]

        def decode(embedding: NDArray[Any], prompts: CanvasPrompts) -> NDArray[Any]:
            return session.run(["low_res_masks"], decoder_feeds(embedding, prompts))[0]

        if part == "encoder":
            return reference.compare_encoder(encode)
        return reference.compare_decoder(decode, self.single_mask)

    def _log_calibration(self, done: int, total: int) -> None:
        self.log(f"calibrating: photo {done} of {total}")


def write_encoder(model: SamModel, path: Path, encoder_input: EncoderInput = CANVAS) -> None:
    """Write the encoder of a model from ``traceable.prepare``, with these inputs."""
    side = model.canvas_size
    names = [spec.name for spec in encoder_input.specs(side)]
    network, example = encoder_input.network(model), encoder_input.example(side)
    write_network(network, example, path, names, [OUTPUT], encoder_input.open_axes)


def write_decoder(model: SamModel, path: Path, single_mask: bool = False, empty_slots: bool = False) -> None:
    """Write prompt encoder and mask decoder of a model from ``traceable.prepare``.

    It takes B prompts of N labelled points each on one embedding.

    Args:
        single_mask: see ``export_onnx``.
        empty_slots: see ``traceable.PromptDecoder``.
    """
    grid, low = model.canvas_size // EMBEDDING_STRIDE, model.canvas_size // LOGITS_STRIDE
    example = {
        "image_embeddings": torch.zeros(1, EMBEDDING_CHANNELS, grid, grid),
        "point_coords": torch.ones(2, 5, 2),
        "point_labels": torch.ones(2, 5),
        "mask_input": torch.zeros(2, 1, low, low),
        "has_mask_input": torch.ones(1),
        "orig_im_size": torch.tensor([300.0, 400.0]),
    }
    open_axes = {
        "point_coords": {0: "prompts", 1: "points"},
        "point_labels": {0: "prompts", 1: "points"},
        "mask_input": {0: "prompts_or_1"},
        "masks": {0: "prompts", 2: "photo_height", 3: "photo_width"},
        "iou_predictions": {0: "prompts"},
        "low_res_masks": {0: "prompts"},
    }
    outputs = ["masks", "iou_predictions", "low_res_masks"]
    network = OnnxDecoderModule(model, single_mask, empty_slots)
    write_network(network, tuple(example.values()), path, list(example), outputs, open_axes)


def check_onnx_file(path: Path) -> None:
    """Raise ExportError unless the file is valid ONNX."""
    onnx, _ = import_onnx()
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:
        raise ExportError(f"{path.name} is not a valid ONNX file: {str(error).splitlines()[0]}") from error


def write_network(
    network: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    open_axes: dict[str, dict[int, str]],
) -> None:
    """Write a network of any kind, and make the file small.

    Args:
        example: inputs to trace it with.
        inputs, outputs: names.
        open_axes: axes whose length is open, as ``torch.onnx.export`` takes them.

    Raises:
        ExportError: the file is no valid ONNX.
    """
    onnx, onnxslim = import_onnx()
    # torch's newer exporter (dynamo) ties the mask's batch size of 1 to the number of prompts; the older one does not
    older: dict[str, Any] = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            example,
            str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=open_axes,
            opset_version=OPSET,
            do_constant_folding=True,
            **older,
        )
    onnx.save(onnxslim.slim(onnx.load(str(path))), str(path))
    check_onnx_file(path)


def set_metadata(path: Path, metadata: ExportMetadata) -> None:
    """Text for a person who opens the file, and key-value pairs."""
    onnx, _ = import_onnx()
    model = onnx.load(str(path))
    model.doc_string, model.producer_name, model.producer_version = metadata.description, "repvit-sam", __version__
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata.as_strings())
    onnx.save(model, str(path))
