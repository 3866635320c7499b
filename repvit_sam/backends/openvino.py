"""OpenVINO as a backend: it computes the image encoder on the CPU, PyTorch decodes the prompts."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import RepVitSamError
from ..modeling.sam import SamModel
from .choice import lacks_int8_on_cpu, native_bf16_on_cpu
from .model_cache import ModelCache
from .openvino_convert import (
    QUANTIZATION_VERSION,
    convert_encoder,
    example_photos,
    hash_of_photos,
    import_openvino,
    quantize_encoder,
)
from .pytorch import TorchBackend

_log = logging.getLogger("repvit_sam")


@functools.cache
def _core() -> Any:
    """The one ``Core`` of this process, which is never freed.

    OpenVINO gives the thread that compiles first a signal stack of its own (``SigAltStackSetup``, its pull request
    11894), and takes the memory away with the last Core or model. Where another thread frees that one, the next
    signal with a Python handler, such as Ctrl-C, ends the process.
    """
    return import_openvino().Core()


class OpenVinoBackend(TorchBackend):
    """A model whose image encoder OpenVINO computes.

    The encoder is converted once and kept in the user's cache folder; a folder that cannot be written is no error.

    Args:
        model: on the CPU.
        precision: "fp32", "bf16" or "int8"; the embedding is float32 in each.
        calibration: int8: photographs to measure the ranges of activations on; None takes the package's four.
        cache: None takes the user's cache folder.

    Attributes:
        torch_model: the model, whose decoder is used.

    Raises:
        RepVitSamError: OpenVINO is not installed, or cannot convert or compute this encoder.
        PhotoError: a photograph for the calibration cannot be read.
    """

    def __init__(
        self,
        model: SamModel,
        precision: str = "fp32",
        calibration: Sequence[Path] | None = None,
        cache: ModelCache | None = None,
    ) -> None:
        super().__init__(model)
        self.precision = precision
        self._lock = threading.Lock()  # an infer request takes one call at a time
        self._openvino = import_openvino()
        self._arguments = (model, precision, calibration, cache)
        photos = (list(calibration) if calibration else example_photos()) if precision == "int8" else []
        converted = self._open(ModelCache() if cache is None else cache, photos)
        try:
            self._request = self._compile(converted).create_infer_request()
        except RuntimeError as error:
            raise RepVitSamError(f"OpenVINO cannot compute this encoder in {precision}: {error}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and deepcopy: made again from its arguments; the cache has the converted encoder."""
        return type(self), self._arguments

    @property
    def label(self) -> str:
        """See ``Backend``."""
        return f"OpenVINO {self.precision}"

    def encode(self, canvas: NDArray[np.float32]) -> Tensor:
        """See ``Backend``; several canvases (B, 3, S, S) are encoded one after the other."""
        side = self.canvas_size
        if canvas.ndim != 4 or canvas.shape[1:] != (3, side, side):
            raise ValueError(f"a canvas must have shape (B, 3, {side}, {side}), got {canvas.shape}")
        with self._lock:
            embeddings = [self._request.infer([one[None]])[0] for one in np.asarray(canvas, dtype=np.float32)]
        return torch.from_numpy(np.concatenate(embeddings))

    def _open(self, cache: ModelCache, photos: Sequence[Path]) -> Any:
        """The converted encoder, from the cache or converted now; where the cache fails, from memory."""
        made: list[Any] = []

        def build(folder: Path) -> None:
            made.append(self._convert(photos))
            # fp16 weights would halve the file, and move the embedding by 1.7e-3 of its size
            self._openvino.save_model(made[0], folder / "encoder.xml", compress_to_fp16=False)
            _core().read_model(folder / "encoder.xml")  # raises where a full disk cut it, which not every version says

        try:
            settings = self._settings(photos)
            name = f"openvino-{self.torch_model.variant}-{self.canvas_size}-{settings['weights']}"
            folder = cache.get(name, settings, build)
            return made[0] if made else _core().read_model(folder / "encoder.xml")
        except (OSError, RuntimeError) as error:  # OpenVINO's own errors are RuntimeErrors
            _log.warning("the converted model cannot be kept, each start converts it again: %s", error)
            return made[0] if made else self._convert(photos)

    def _settings(self, photos: Sequence[Path]) -> dict[str, str]:
        """What decides the converted model. fp32 and bf16 share one: the precision is chosen when it is compiled."""
        return {
            "encoder": self.fingerprint(),
            "canvas": str(self.canvas_size),
            "weights": "int8" if self.precision == "int8" else "fp32",
            "calibration": f"{hash_of_photos(photos)} {QUANTIZATION_VERSION}" if photos else "",
            "openvino": self._openvino.__version__,
        }

    def _convert(self, photos: Sequence[Path]) -> Any:
        _log.info("converting %s for OpenVINO, once", self.torch_model.variant)
        converted = convert_encoder(self.torch_model.image_encoder, self.canvas_size)
        if photos:
            _log.info("calibrating int8 on %d photographs, once", len(photos))
            converted = quantize_encoder(converted, photos, self.canvas_size)
        return converted

    def _compile(self, converted: Any) -> Any:
        if self.precision == "int8" and lacks_int8_on_cpu():
            _log.warning("this processor has no VNNI: masks of int8 agree less with those of fp32 than elsewhere")
        # int8: layers that are not quantized compute in bf16 where the processor has it
        half = self.precision == "bf16" or (self.precision == "int8" and native_bf16_on_cpu())
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),  # torch.set_num_threads holds for both
            "ENABLE_CPU_PINNING": False,  # processes side by side would be bound to the same cores
        }
        return _core().compile_model(converted, "CPU", options)
