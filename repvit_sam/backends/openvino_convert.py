"""PyTorch image encoder -> OpenVINO model, in fp32 or with its convolutions and matrix products in 8 bits."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..canvas import photo_to_canvas
from ..errors import RepVitSamError
from ..example_photos import EXAMPLE_PHOTOS, example_photo
from ..files import sha256_of
from ..photo import read_photo

# of the rule by which an encoder is quantized: counted up, the int8 models in users' caches are made again
QUANTIZATION_VERSION = 2

_INSTALL = "pip install 'repvit-sam[openvino]'"
_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_log = logging.getLogger("repvit_sam")


def import_openvino() -> Any:
    """OpenVINO.

    Raises:
        RepVitSamError: it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise RepVitSamError(f"engine='openvino' needs OpenVINO ({error}): {_INSTALL}") from None
    return openvino


def convert_encoder(encoder: nn.Module, canvas_size: int) -> Any:
    """The image encoder as an ``openvino.Model``: "canvas" (1, 3, S, S) -> embedding (1, 256, S/16, S/16).

    OpenVINO's own ``convert_model`` would report the use of it to its makers; its front end, called here, does not.

    Raises:
        RepVitSamError: OpenVINO is not installed, or cannot convert this network.
    """
    import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros(1, 3, canvas_size, canvas_size)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch.jit, by which OpenVINO reads networks, is deprecated
            front_end = FrontEndManager().load_by_framework("pytorch")
            # constants of its own: those of the PyTorch model move when it is sent to another process
            traced = TorchScriptPythonDecoder(encoder, example_input=(example,), shared_memory=False)
            converted = front_end.convert(front_end.load(traced))
            converted.reshape(list(example.shape))
    except Exception as error:  # OpenVINO's own classes, and torch's errors of tracing
        raise RepVitSamError(f"OpenVINO cannot convert this image encoder: {_last_line(error)}") from None
    return converted


def quantize_encoder(converted: Any, photos: Sequence[Path], canvas_size: int) -> Any:
    """The converted encoder with its convolutions and matrix products in 8 bits, by NNCF.

    Args:
        photos: files, to measure the ranges of activations on.

    Raises:
        RepVitSamError: NNCF is not installed.
        PhotoError: a file is not a photo.
    """
    canvases = [canvas for photo in photos for canvas in _views(photo, canvas_size)]
    with _quiet_nncf():
        nncf = _import_nncf()
        return nncf.quantize(
            converted,
            nncf.Dataset(canvases),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(canvases),
            ignored_scope=nncf.IgnoredScope(names=_kept_in_float(converted), types=_kinds_in_float(converted)),
        )


def example_photos() -> list[Path]:
    """The photographs that come with the package, for calibration where none are given."""
    return [example_photo(name) for name in EXAMPLE_PHOTOS]


def hash_of_photos(photos: Sequence[Path]) -> str:
    """Identifies the photos of a calibration."""
    return hashlib.sha256("".join(sha256_of(photo) for photo in photos).encode()).hexdigest()


def _views(photo: Path, canvas_size: int) -> Iterator[NDArray[np.float32]]:
    """Canvases of a photo, its mirror image and two crops: more ranges from few photographs."""
    pixels = read_photo(photo)
    height, width = pixels.shape[:2]
    crops = (pixels[: height * 2 // 3, : width * 2 // 3], pixels[height // 3 :, width // 3 :])
    for view in (pixels, pixels[:, ::-1], *crops):
        yield photo_to_canvas(np.ascontiguousarray(view), canvas_size)[0]


def _kept_in_float(converted: Any) -> list[str]:
    """Names of the layers that lose most in 8 bits: the first convolution, which reads pixels, and the neck's."""
    names = [op.get_friendly_name() for op in converted.get_ordered_ops() if op.get_type_name() in _CONVOLUTIONS]
    return [names[0], *names[-2:]]


def _kinds_in_float(converted: Any) -> list[str]:
    """All kinds of operations but those with weights: sums above all, which carry a block's input past it."""
    return sorted({op.get_type_name() for op in converted.get_ordered_ops()} - {*_CONVOLUTIONS, "MatMul"})


def _import_nncf() -> Any:
    """NNCF, without its reports to its makers: it sends none where CI is set when it is first imported."""
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        import nncf
    except ImportError as error:
        raise RepVitSamError(f"precision='int8' needs NNCF ({error}): {_INSTALL}") from None
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before
    return nncf


@contextmanager
def _quiet_nncf() -> Iterator[None]:
    """Hide what NNCF prints and logs below an error."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _last_line(error: Exception) -> str:
    """The line that says what happened; those before say where in OpenVINO."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
