import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repvit_sam.coco_segmentation import segmentation_rle
from repvit_sam.rle import decode_rle, encode_rle, run_lengths

from ..hostile import STRANGE, answer, nearly

HW = (20, 30)
SQUARE = [[2.0, 1.0, 9.0, 1.0, 9.0, 8.0, 2.0, 8.0]]
MASK = decode_rle(segmentation_rle(SQUARE, HW))
FORMS = [
    SQUARE,
    [*SQUARE, [0, 0, 3, 0, 3, 3]],
    encode_rle(MASK),
    {"size": [20, 30], "counts": run_lengths(encode_rle(MASK)["counts"])},
]


@given(st.sampled_from(FORMS).flatmap(nearly) | STRANGE)
@example([[float("nan")] * 6])
@example([[1e9, 0.0, 0.0, 1e9, 5.0, 5.0]])
@example([[0.0, 0.0, 60.0, 60.0] * 100_000])
@example({"size": [20, 30], "counts": "P" * 100})
@example({"size": [20, 30], "counts": [10**400]})
@example({"size": [2**32 + 20, 30], "counts": [600]})
def test_any_segmentation_is_a_mask_of_the_photo_or_refused_in_one_sentence(segmentation):
    rle = answer(segmentation_rle, segmentation, HW, errors=ValueError)
    assert rle is None or decode_rle(rle).shape == HW


@given(nearly(FORMS[2]) | st.fixed_dictionaries({"size": st.just([20, 30]), "counts": st.text() | st.binary()}))
@example({"size": [2**16, 2**16], "counts": "0"})
@example({"size": [10**9, 10**9], "counts": "0"})
def test_any_rle_is_decoded_or_refused(rle):
    mask = answer(decode_rle, rle, errors=ValueError)
    assert mask is None or encode_rle(mask)["size"] == list(rle["size"])


def test_the_four_ways_to_write_a_mask_are_one():
    for form in (FORMS[0], *FORMS[2:], {**FORMS[2], "counts": FORMS[2]["counts"].encode()}):
        np.testing.assert_array_equal(decode_rle(segmentation_rle(form, HW)), MASK)


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([[0, 0, 5, 0]], r"must be \[x, y, x, y, x, y, ...\]"),
        ([[0, 0, 1e8, 0, 5, 5]], "within 60 pixels"),
        ([[-60.0, -60, 60, 60] * 5000], "2,000,000 pixels of edges, these have 2,400,"),
        ({"size": [30, 20], "counts": [600]}, r"has size \[30, 20\]"),
        ({"size": [20, 30], "counts": [599]}, "add up to 20 x 30 pixels .* got 599"),
        ({"size": [20, 30], "counts": [-1, 601]}, "whole numbers from 0 to 600"),
        ({"size": [20, 30], "counts": None}, "text or a list of run lengths, got None"),
        (None, "polygons or RLE, got None"),
    ],
)
def test_what_is_no_mask_of_the_photo_is_named(segmentation, words):
    with pytest.raises(ValueError, match=words):
        segmentation_rle(segmentation, HW)


@pytest.mark.parametrize("photo_hw", [(0, 5), (10**6, 10**6), (None, None), (2.0, 3)])
def test_the_size_of_the_photo_comes_from_strangers_as_well(photo_hw):
    with pytest.raises(ValueError, match="size must be"):
        segmentation_rle(SQUARE, photo_hw)
