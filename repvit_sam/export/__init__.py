"""Export a checkpoint to Core ML or ONNX, to run it without PyTorch. Needs the extra ``repvit-sam[export]``."""

from __future__ import annotations

from .config import ONNX_PRECISIONS, ExportConfig
from .coreml import export_coreml
from .onnx import export_onnx

__all__ = ["ONNX_PRECISIONS", "ExportConfig", "export_coreml", "export_onnx"]
