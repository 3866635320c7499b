"""Core ML and ONNX: the same masks on a phone, in a browser, without torch. Needs the extra ``repvit-sam[export]``."""

from __future__ import annotations

from .exporting import ONNX_PRECISIONS, ExportConfig, export_coreml, export_onnx

__all__ = ["ONNX_PRECISIONS", "ExportConfig", "export_coreml", "export_onnx"]
