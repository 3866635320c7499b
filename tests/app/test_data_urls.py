import numpy as np
import torch

from repvit_sam.app.data_urls import MASK_SIDE, logits_to_view
from repvit_sam.canvas import fit_photo


def test_logits_of_any_backend_become_masks_of_the_views_size():
    y, x = np.mgrid[:64, :64]
    logits = np.float32([[np.hypot(y - 20, x - 30) - 12.2]])[0]
    fit = fit_photo((1500, 3000), 256)
    masks = logits_to_view(logits, fit)
    assert masks.dtype == np.bool_
    assert masks.shape == (1, MASK_SIDE // 2, MASK_SIDE)
    of_tensor = logits_to_view(torch.from_numpy(logits), fit)
    assert (masks != of_tensor).mean() < 1e-3
