import numpy as np
import pytest

from repvit_sam.errors import PromptError
from repvit_sam.export.coreml_runtime.model import CoreMLDecoder, CoreMLEncoder, fill_slots

from ...conftest import CANVAS


@pytest.mark.parametrize(
    ("coords", "labels", "message"),
    [
        ([[1, 2]], [4], "got 4"),
        ([[1, 2]], [2], "one corner of label 2 and one of label 3"),
        ([[1, 2]], [1, 1], "must have shape \\(1,\\)"),
        ([1, 2], [1], "must have shape \\(N, 2\\)"),
        ([[0, 0]] * 17, [1] * 17, "up to 16 points"),
        ([[float("nan"), 0]], [1], "finite"),
    ],
)
def test_wrong_prompts_are_refused_in_a_sentence(coords, labels, message):
    with pytest.raises(PromptError, match=message):
        fill_slots(coords, labels)


def test_wrong_shapes_are_refused_before_the_runtime(coreml_folder):
    decoder = CoreMLDecoder(coreml_folder / "decoder.mlpackage", CANVAS)
    with pytest.raises(PromptError, match="image_embedding must have shape"):
        decoder.decode(np.zeros((1, 256, 64, 64)), [[1, 2]], [1])
    with pytest.raises(PromptError, match="mask_input must have shape"):
        decoder.decode(np.zeros((1, 256, 16, 16)), [[1, 2]], [1], np.zeros((1, 256, 256)))
    encoder = CoreMLEncoder(coreml_folder / "encoder.mlpackage", CANVAS)
    with pytest.raises(ValueError, match="sides up to 256"):
        encoder.encode_content(np.zeros((257, 10, 3), np.uint8))
