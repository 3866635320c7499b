import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from segment_anything.utils.amg import batched_mask_to_box, calculate_stability_score

from repvit_sam import masks
from repvit_sam.canvas import fit_photo
from repvit_sam.masks import (
    best_mask,
    coco_bbox,
    logits_in_parts,
    logits_to_photo,
    mask_at_photo_size,
    mask_box_xyxy,
    mask_extent,
    object_logits,
    stability_score,
)
from repvit_sam.rle import encode_rle

from .conftest import each_mask


@pytest.mark.parametrize("photo_hw", [(229, 301), (1500, 800), (1, 1)])
def test_logits_come_to_photo_size_as_in_sam(model, photo_hw):
    fit = fit_photo(photo_hw)
    logits = torch.randn(2, 3, 256, 256)
    expected = model.postprocess_masks(logits, fit.content_hw, fit.photo_hw)
    assert torch.equal(logits_to_photo(logits, fit), expected)


def test_logits_come_part_by_part_the_same(monkeypatch):
    fit, logits = fit_photo((1200, 900)), torch.randn(5, 256, 256)
    monkeypatch.setattr(masks, "_PIXELS_AT_ONCE", 2 * 1200 * 900)
    parts = list(logits_in_parts(logits, fit))
    assert [len(part) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat(parts), logits_to_photo(logits[None], fit)[0])


@each_mask
def test_boxes_equal_segment_anything(mask):
    assert list(mask_box_xyxy(mask)) == batched_mask_to_box(torch.as_tensor(mask)).tolist()


@each_mask
def test_coco_s_boxes_equal_pycocotools_and_hold_the_object(mask):
    assert coco_bbox(mask) == coco_mask.toBbox(encode_rle(mask)).tolist()
    assert mask[mask_extent(mask)].sum() == mask.sum()


def test_stability_equals_segment_anything_and_is_zero_for_nothing():
    logits = torch.randn(4, 30, 40) * 3
    assert torch.equal(stability_score(logits, 1.0), calculate_stability_score(logits, 0.0, 1.0))
    assert stability_score(torch.full((3, 3), -9.0)).item() == 0


def test_the_best_mask_is_the_best_rated():
    assert best_mask(np.array([0.2, 0.9, 0.5])) == 1


@pytest.mark.parametrize("photo_hw", [(229, 301), (1500, 800), (1, 1), (683, 1024), (1, 700)])
def test_one_step_where_the_object_is_equals_sams_two_steps(photo_hw):
    fit = fit_photo(photo_hw)
    blobs = torch.nn.functional.interpolate(torch.randn(1, 1, 9, 9), (256, 256), mode="bicubic")[0, 0] * 5
    for low_res_logits in (blobs - 4, blobs + 9, torch.full((256, 256), -1.0)):  # an object, everything, nothing
        expected = logits_to_photo(low_res_logits[None, None], fit)[0, 0].numpy()
        found = object_logits(low_res_logits.numpy(), fit)
        np.testing.assert_allclose(found.logits, expected[found.rows, found.columns], atol=2e-5)
        mask = mask_at_photo_size(low_res_logits.numpy(), fit)
        assert (mask != (expected > 0))[np.abs(expected) > 2e-5].sum() == 0
