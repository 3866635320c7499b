"""What to export: the settings that Core ML and ONNX share, and the values that each of them allows."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..canvas import check_canvas_size

COREML_PRECISIONS = ("fp16", "fp32", "palette8", "linear8")  # the last two: fp16 with weights stored in 8 bits
ONNX_PRECISIONS = ("fp32", "fp16", "int8")
PARTS = {"encoder": ("encoder",), "decoder": ("decoder",), "both": ("encoder", "decoder")}
PROMPT_SLOTS = 16  # points and box corners in one call of a Core ML decoder

Log = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What to export.

    Attributes:
        checkpoint: the name of a known checkpoint, or the path of a file.
        out: the folder to write into.
        part: "encoder", "decoder" or "both".
        precision: for Core ML fp16, fp32, palette8 or linear8; for ONNX fp32, fp16 or int8.
        canvas: side of the canvas in pixels; None takes the checkpoint's.
        force: overwrite existing files.

    Raises:
        ValueError: an unknown part, or a canvas size that no model supports.
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
        if self.canvas is not None:
            check_canvas_size(self.canvas)

    @property
    def parts(self) -> tuple[str, ...]:
        """ "encoder", "decoder", or both of them."""
        return PARTS[self.part]

    def check_precision(self, runtime: str, known: tuple[str, ...]) -> None:
        """Raise ValueError unless the runtime has this precision."""
        if self.precision not in known:
            raise ValueError(f"precision must be one of {', '.join(known)} for {runtime}, got {self.precision!r}")
