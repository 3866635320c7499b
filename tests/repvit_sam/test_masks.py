import numpy as np
import pytest
import torch
from segment_anything.utils.amg import (
    batched_mask_to_box,
    calculate_stability_score,
    coco_encode_rle,
    mask_to_rle_pytorch,
)

from repvit_sam import masks
from repvit_sam.canvas import fit_photo
from repvit_sam.masks import best_mask, logits_in_parts, logits_to_photo, mask_box_xyxy, stability_score
from repvit_sam.rle import decode_rle, encode_rle, run_lengths, uncompressed_rle

MASKS = {
    "empty": np.zeros((4, 5), bool),
    "full": np.ones((4, 5), bool),
    "noise": np.random.default_rng(0).random((13, 17)) > 0.5,
    "first column": np.array([[1, 0], [1, 0]], bool),
    "last column": np.array([[0, 1], [0, 1]], bool),
    "one pixel": np.pad(np.ones((1, 1), bool), 3),
}
each_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


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
def test_rle_equals_segment_anything_and_comes_back(mask):
    reference = mask_to_rle_pytorch(torch.as_tensor(mask)[None])[0]
    assert uncompressed_rle(mask) == reference
    assert encode_rle(mask) == coco_encode_rle(reference)
    np.testing.assert_array_equal(decode_rle(encode_rle(mask)), mask)


@each_mask
def test_boxes_equal_segment_anything(mask):
    assert list(mask_box_xyxy(mask)) == batched_mask_to_box(torch.as_tensor(mask)).tolist()


def test_stability_equals_segment_anything_and_is_zero_for_nothing():
    logits = torch.randn(4, 30, 40) * 3
    assert torch.equal(stability_score(logits, 1.0), calculate_stability_score(logits, 0.0, 1.0))
    assert stability_score(torch.full((3, 3), -9.0)).item() == 0


def test_the_best_mask_is_the_best_rated():
    assert best_mask(np.array([0.2, 0.9, 0.5])) == 1


def test_run_lengths_are_those_of_the_uncompressed_form():
    chance = np.random.default_rng(3)
    for _ in range(50):
        height, width = chance.integers(1, 60, 2)
        mask = chance.random((height, width)) < chance.random()
        runs = run_lengths(encode_rle(mask)["counts"])
        assert sum(runs) == mask.size
        assert runs == uncompressed_rle(mask)["counts"]


@pytest.mark.parametrize("counts", ["\x00", "ppppppppppppp", "P", "O"])
def test_text_that_is_no_run_lengths_is_refused(counts):
    with pytest.raises(ValueError, match="run length"):
        run_lengths(counts)
