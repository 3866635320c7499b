import numpy as np
import pytest
import torch

from repvit_sam.resize import resize_logits


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
    # Processors with AVX-512 round a place once, others twice: one step of float32, times the slope between neighbours.
    place_error = np.spacing(np.float32(max(old)))
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=5e-5 + place_error * np.ptp(logits))
    assert np.count_nonzero((found > 0) != (expected.numpy() > 0)) <= 2 + found.size * 1e-6
    assert torch.equal(resize_logits(torch.from_numpy(logits), new), expected)
