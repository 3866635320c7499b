"""The libraries of the extra ``repvit-sam[export]``, imported when they are needed and kept quiet."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from ..errors import ExportError


def import_coremltools() -> Any:
    """coremltools, without its warnings about Apple's parts that are missing on other systems."""
    with quiet_coremltools():
        try:
            import coremltools
        except ImportError:
            raise ExportError("Core ML export needs its extra: pip install 'repvit-sam[export]'") from None
    return coremltools


def import_onnx() -> tuple[Any, Any]:
    """onnx and onnxslim (which has wheels for every system, unlike onnx-simplifier)."""
    try:
        import onnx
        import onnxslim
    except ImportError as error:
        raise ExportError(f"ONNX export needs its extra ({error}): pip install 'repvit-sam[export]'") from None
    return onnx, onnxslim


@contextmanager
def quiet_coremltools() -> Iterator[None]:
    """Hide its progress bars and its warnings about untested versions of other libraries."""
    loggers = [logging.getLogger(name) for name in ("coremltools", "coremltools.converters")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def quiet_quantization() -> Iterator[None]:
    """Hide what onnxruntime's quantization prints and logs below an error."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(level)
