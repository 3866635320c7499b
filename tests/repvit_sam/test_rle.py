import numpy as np
import pytest
import torch
from segment_anything.utils.amg import coco_encode_rle, mask_to_rle_pytorch

from repvit_sam.rle import decode_rle, encode_rle, encode_rle_of_part, run_lengths, uncompressed_rle

from .conftest import each_mask


@each_mask
def test_rle_equals_segment_anything_and_comes_back(mask):
    reference = mask_to_rle_pytorch(torch.as_tensor(mask)[None])[0]
    assert uncompressed_rle(encode_rle(mask)) == reference
    assert encode_rle(mask) == coco_encode_rle(reference)
    np.testing.assert_array_equal(decode_rle(encode_rle(mask)), mask)


def test_run_lengths_are_those_of_segment_anything():
    chance = np.random.default_rng(3)
    for _ in range(50):
        height, width = chance.integers(1, 60, 2)
        mask = chance.random((height, width)) < chance.random()
        runs = run_lengths(encode_rle(mask)["counts"])
        assert sum(runs) == mask.size
        assert runs == mask_to_rle_pytorch(torch.as_tensor(mask)[None])[0]["counts"]


@pytest.mark.parametrize("counts", ["\x00", "ppppppppppppp", "P", "O"])
def test_text_that_is_no_run_lengths_is_refused(counts):
    with pytest.raises(ValueError, match="run length"):
        run_lengths(counts)


@each_mask
@pytest.mark.parametrize("place", [(0, 0), (2, 3)], ids=["at the corner", "inside"])
def test_a_part_of_a_photo_is_encoded_as_the_whole_mask_would_be(mask, place):
    (top, left), (height, width) = place, mask.shape
    whole = np.zeros((top + height + top, left + width + left), bool)
    whole[top : top + height, left : left + width] = mask
    assert encode_rle_of_part(mask, top, left, whole.shape) == encode_rle(whole)
