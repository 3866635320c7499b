"""Export to Core ML: packages for iOS 16, macOS 13 and later, with fixed shapes for the Neural Engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import __version__
from ..canvas import EMBEDDING_CHANNELS, EMBEDDING_STRIDE, LOGITS_STRIDE
from ..modeling.sam import SamModel
from ..photo import Photo
from ..prompts import CanvasPrompts
from .config import COREML_PRECISIONS, PROMPT_SLOTS, ExportConfig, Log
from .coreml_runtime.model import CoreMLDecoder, CoreMLEncoder
from .libraries import import_coremltools, quiet_coremltools
from .metadata import AUTHOR, LICENCE, ExportMetadata
from .pipeline import run_export
from .quantize import quantize_coreml_weights
from .signatures import Signature, canvas_spec, coreml_decoder_signature, encoder_signature, picture_specs
from .traceable import CoreMLDecoderModule, PictureEncoder
from .verify import PADDING_VALUE, Comparison, PyTorchReference


def export_coreml(
    config: ExportConfig, picture: bool = True, upscaled: bool = False, log: Log = lambda line: None
) -> list[Path]:
    """Write encoder.mlpackage, decoder.mlpackage and manifest.json.

    Args:
        picture: the encoder takes a picture and normalises it; False: the normalised canvas as a tensor.
        upscaled: the decoder also returns its logits at the size of the canvas.
        log: called with a line of text at every step.

    Returns:
        The files written.

    Raises:
        ExportError: files exist already, a library is missing, or a file differs too much from PyTorch.
        ValueError: unknown precision, or a canvas size that cannot be used.
    """
    config.check_precision("Core ML", COREML_PRECISIONS)
    import_coremltools()
    return run_export(config, CoreMLExporter(config.precision, picture, upscaled), log)


@dataclass(frozen=True)
class CoreMLExporter:
    """Core ML as an ``Exporter``; the fields are the arguments of ``export_coreml``."""

    precision: str
    picture: bool = True
    upscaled: bool = False
    runtime: ClassVar[str] = "coreml"
    suffix: ClassVar[str] = ".mlpackage"
    max_canvas: ClassVar[int] = 2048  # Core ML counts rows and columns in fp16, which holds every integer up to here

    def precision_of(self, part: str) -> str:
        """See ``Exporter``."""
        return self.precision

    def signature(self, part: str, canvas: int) -> Signature:
        """See ``Exporter``."""
        if part == "encoder":
            inputs = picture_specs(canvas) if self.picture else (canvas_spec(canvas, "canvas", "1"),)
            return encoder_signature(canvas, inputs, "image_embedding")
        return coreml_decoder_signature(canvas, self.upscaled, PROMPT_SLOTS)

    def write(self, model: SamModel, path: Path, metadata: ExportMetadata) -> None:
        """See ``Exporter``."""
        if metadata.part == "encoder":
            package = convert_encoder(model, self.precision, self.picture)
        else:
            package = convert_decoder(model, self.precision, self.upscaled)
        set_metadata(package, metadata)
        package.save(str(path))

    def compare(self, reference: PyTorchReference, part: str, path: Path) -> Comparison:
        """See ``Exporter``."""
        canvas_size = reference.fit.canvas_size
        if part == "encoder":
            encoder = CoreMLEncoder(path, canvas_size)

            def encode(content: Photo, canvas: NDArray[Any]) -> NDArray[Any]:
                return encoder.encode_content(content, PADDING_VALUE) if self.picture else encoder.encode_canvas(canvas)

            return reference.compare_encoder(encode)
        decoder = CoreMLDecoder(path, canvas_size)

        def decode(embedding: NDArray[Any], prompts: CanvasPrompts) -> NDArray[Any]:
            coords, labels = prompts.labelled_points()
            return decoder.decode(embedding, coords[0], labels[0], prompts.mask_input)["low_res_logits"]

        return reference.compare_decoder(decode)


def convert_encoder(model: SamModel, precision: str, picture: bool) -> Any:
    """The encoder of a model from ``traceable.prepare``, as a coremltools ``MLModel``.

    Args:
        picture: it takes an RGB picture and ``content_hw``, normalises and sets the padding to zero; False: it takes
            the normalised canvas as a tensor.
    """
    ct = import_coremltools()
    side = model.canvas_size
    canvas = torch.zeros(1, 3, side, side)
    if picture:
        network: nn.Module = PictureEncoder(model.image_encoder, side)
        example: tuple[Tensor, ...] = (canvas, torch.tensor([float(side), float(side)]))
        inputs = [
            ct.ImageType("image", shape=(1, 3, side, side), color_layout=ct.colorlayout.RGB),
            ct.TensorType("content_hw", shape=(2,), dtype=np.float32),
        ]
    else:
        network, example = model.image_encoder, (canvas,)
        inputs = [ct.TensorType("canvas", shape=(1, 3, side, side), dtype=np.float32)]
    return convert_network(network, example, inputs, {"image_embedding": float_type(precision)}, precision)


def convert_decoder(model: SamModel, precision: str, upscaled: bool = False, slots: int = PROMPT_SLOTS) -> Any:
    """Prompt encoder and mask decoder of a model from ``traceable.prepare``, as a coremltools ``MLModel``.

    Args:
        upscaled: it also returns logits at the size of the canvas.
        slots: number of points and box corners in one call.
    """
    ct = import_coremltools()
    grid, low = model.canvas_size // EMBEDDING_STRIDE, model.canvas_size // LOGITS_STRIDE
    shapes = {
        "image_embedding": (1, EMBEDDING_CHANNELS, grid, grid),
        "point_coords": (1, slots, 2),
        "point_labels": (1, slots),
        "mask_input": (1, 1, low, low),
        "has_mask_input": (1,),
    }
    # the embedding has the type of the encoder's output; coordinates need more precision than fp16 has
    dtypes = {name: np.float32 for name in shapes} | {"image_embedding": float_type(precision)}
    inputs = [ct.TensorType(name, shape=shape, dtype=dtypes[name]) for name, shape in shapes.items()]
    outputs = {"low_res_logits": np.float32, "iou_predictions": np.float32}
    if upscaled:
        outputs["logits"] = np.float32
    example = tuple(torch.zeros(shape) for shape in shapes.values())
    return convert_network(CoreMLDecoderModule(model, upscaled).eval(), example, inputs, outputs, precision)


def set_metadata(package: Any, metadata: ExportMetadata) -> None:
    """Text for a person who opens the package in Xcode, and key-value pairs."""
    package.short_description = metadata.description
    package.author, package.license, package.version = AUTHOR, LICENCE, __version__
    package.user_defined_metadata.update(metadata.as_strings())
    for tensor in metadata.inputs:
        package.input_description[tensor.name] = tensor.meaning
    for tensor in metadata.outputs:
        package.output_description[tensor.name] = tensor.meaning


def convert_network(
    network: nn.Module, example: tuple[Tensor, ...], inputs: list[Any], outputs: dict[str, Any], precision: str
) -> Any:
    """A network of any kind, fused, as a coremltools ``MLModel``.

    Args:
        example: inputs to trace it with.
        inputs: as coremltools describes them (``ImageType``, ``TensorType``).
        outputs: name -> NumPy type.
        precision: one of ``COREML_PRECISIONS``.
    """
    ct = import_coremltools()
    half = ct.transform.FP16ComputePrecision(op_selector=lambda op: not _leads_to_sin_or_cos(op))
    with quiet_coremltools(), torch.no_grad():
        # not torch.jit.trace: it leaves sizes in the graph that coremltools cannot read with a recent NumPy
        exported = torch.export.export(network.eval(), example).run_decompositions({})
        package = ct.convert(
            exported,
            inputs=inputs,
            outputs=[ct.TensorType(name, dtype=dtype) for name, dtype in outputs.items()],
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=ct.precision.FLOAT32 if precision == "fp32" else half,
            convert_to="mlprogram",
        )
    return quantize_coreml_weights(package, precision)


def float_type(precision: str) -> Any:
    """NumPy's type of what a network of this precision gives."""
    return np.float32 if precision == "fp32" else np.float16


def _leads_to_sin_or_cos(op: Any) -> bool:
    """Whether an operation computes the angles of points, 2 pi times a coordinate: fp16 would move them by pixels."""
    if op.op_type in ("sin", "cos"):
        return True
    children = [child for output in op.outputs for child in output.child_ops]
    return any(_leads_to_sin_or_cos(child) for child in children if child.op_type in _BEFORE_SIN_OR_COS)


_BEFORE_SIN_OR_COS = ("sin", "cos", "add", "sub", "mul", "real_div", "matmul", "linear", "const", "cast")
