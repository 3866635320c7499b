import sys

import numpy as np
import pytest

from repvit_sam.export.coreml_runtime.mil_operations import OPERATIONS
from repvit_sam.export.coreml_runtime.model import CoreMLDecoder

from ...conftest import CANVAS


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML computes there")
def test_an_unknown_operation_is_named(coreml_folder, monkeypatch):
    monkeypatch.delitem(OPERATIONS, "softmax")
    with pytest.raises(NotImplementedError, match="softmax"):
        CoreMLDecoder(coreml_folder / "decoder.mlpackage", CANVAS).decode(np.zeros((1, 256, 16, 16)), [[1, 2]], [1])
