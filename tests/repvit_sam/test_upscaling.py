import numpy as np
import pytest
import torch

from repvit_sam.upscaling import resize_logits


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((64, 64), (256, 256)),
        ((683, 1024), (427, 640)),
        ((256, 171), (1001, 667)),
        ((1, 1024), (3, 5000)),
        ((1024, 7), (333, 1)),
        ((229, 301), (229, 301)),
    ],
    ids=str,
)
def test_numpy_equals_torch(old, new):
    logits = np.random.default_rng(0).normal(0, 20, (2, 3, *old)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(logits), new, mode="bilinear", align_corners=False)
    found = resize_logits(logits, new)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), atol=5e-5)  # of logits up to 90
    assert np.count_nonzero((found > 0) != (expected.numpy() > 0)) <= 1
    assert torch.equal(resize_logits(torch.from_numpy(logits), new), expected)
