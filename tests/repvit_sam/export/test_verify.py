import numpy as np
import pytest

from repvit_sam.errors import ExportError
from repvit_sam.export.verify import Comparison


def test_nan_is_no_agreement():
    with pytest.raises(ExportError, match="NaN"):
        Comparison(float(np.nan), 1.0).check("encoder.onnx", "int8")


@pytest.mark.parametrize("comparison", [Comparison(0.03, 1.0), Comparison(0.0, 0.98)])
def test_a_difference_beyond_the_precision_is_refused(comparison):
    comparison.check("encoder.onnx", "int8")
    with pytest.raises(
        ExportError, match=r"encoder\.onnx differs by .*, which is too far for fp16; nothing was written"
    ):
        comparison.check("encoder.onnx", "fp16")
