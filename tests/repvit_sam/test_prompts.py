import numpy as np
import pytest
import torch

from repvit_sam.canvas import fit_photo
from repvit_sam.errors import PromptError
from repvit_sam.prompts import check_prompts

FIT = fit_photo((400, 600))
POINT, LABEL, BOX, MASK = [[300, 200]], [1], [100, 80, 400, 300], np.zeros((1, 256, 256), np.float32)


def check(point_coords=None, point_labels=None, box=None, mask_input=None, batched=None):
    return check_prompts(point_coords, point_labels, box, mask_input, FIT, batched)


def test_one_prompt_gets_a_batch_axis_of_one():
    prompts = check(POINT, LABEL, BOX, MASK)
    assert prompts.point_coords.shape == (1, 1, 2)
    assert prompts.point_labels.shape == (1, 1)
    assert prompts.boxes.shape == (1, 4)
    assert prompts.mask_input.shape == (1, 1, 256, 256)
    assert not prompts.batched


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"box": [BOX] * 3}, 3),
        ({"point_coords": [POINT] * 2, "point_labels": [LABEL] * 2}, 2),
        ({"point_coords": [POINT], "point_labels": [LABEL]}, 1),
        ({"point_coords": [POINT] * 2, "point_labels": [LABEL] * 2, "box": [BOX] * 2}, 2),
        ({"mask_input": MASK[None].repeat(4, 0)}, 4),
        ({"box": np.zeros((0, 4))}, 0),
    ],
)
def test_a_batch_is_read_off_the_shapes(given, count):
    prompts = check(**given)
    assert prompts.count == count
    assert prompts.batched


def test_a_single_box_in_two_dimensions_is_one_prompt_unless_said_otherwise():
    assert not check(box=[BOX]).batched
    assert check(box=[BOX], batched=True).batched


def test_lists_tensors_and_integer_arrays_are_numbers():
    for make in (list, np.array, torch.tensor, lambda value: np.array(value, np.uint16)):
        assert check(make(POINT), make(LABEL), make(BOX)).boxes.tolist() == [BOX]


def test_padding_points_may_lie_anywhere():
    assert check([*POINT, [-999, -999]], [1, -1]).point_labels.tolist() == [[1, -1]]


@pytest.mark.parametrize("box", [[-20, -5, 620, 410], [0, 0, 600, 400], [50, 50, 50, 50]])
def test_a_box_just_past_the_edge_or_without_area_is_taken_as_it_is(box):
    assert check(box=box).boxes[0].tolist() == box


HOSTILE = [
    ("flat point", {"point_coords": [300, 200], "point_labels": LABEL}, r"shape \(N, 2\).*one point is"),
    ("three coordinates", {"point_coords": [[1, 2, 3]], "point_labels": LABEL}, r"got \(1, 3\)"),
    ("four dimensions", {"point_coords": [[[[1, 2]]]], "point_labels": LABEL}, "shape"),
    ("no points", {"point_coords": np.zeros((0, 2)), "point_labels": []}, "holds no point"),
    ("no labels", {"point_coords": POINT}, "need point_labels"),
    ("labels alone", {"point_labels": LABEL}, "without point_coords"),
    ("too many labels", {"point_coords": POINT, "point_labels": [1, 0]}, "one a point"),
    ("label 2", {"point_coords": POINT, "point_labels": [2]}, "got 2"),
    ("label 0.5", {"point_coords": POINT, "point_labels": [0.5]}, "got 0.5"),
    ("text label", {"point_coords": POINT, "point_labels": ["object"]}, "point_labels must be an array of numbers"),
    ("text point", {"point_coords": [["a", "b"]], "point_labels": LABEL}, "array of numbers"),
    ("ragged points", {"point_coords": [[1, 2], [3]], "point_labels": [1, 1]}, "array of numbers"),
    ("dict", {"box": {"x": 1}}, "array of numbers"),
    ("complex box", {"box": np.zeros(4, complex)}, "complex128"),
    ("NaN point", {"point_coords": [[np.nan, 3]], "point_labels": LABEL}, "finite"),
    ("infinite box", {"box": [0, 0, np.inf, 9]}, "finite"),
    ("inverted box", {"box": [400, 80, 100, 300]}, "x0 <= x1.*x, y, width, height"),
    ("upside-down box", {"box": [100, 300, 400, 80]}, "y0 <= y1"),
    ("box of five", {"box": [1, 2, 3, 4, 5]}, r"got \(5,\)"),
    ("box of corners", {"box": [[1, 2], [3, 4]]}, r"got \(2, 2\)"),
    ("bool mask", {"mask_input": np.zeros((1, 256, 256), bool)}, "logits"),
    ("mask without axis", {"mask_input": np.zeros((256, 256))}, "shape"),
    ("mask at photo size", {"mask_input": np.zeros((1, 400, 600))}, r"got \(1, 400, 600\)"),
    ("three masks", {"mask_input": np.zeros((3, 256, 256))}, "pick one"),
    ("NaN mask", {"mask_input": np.full((1, 256, 256), np.nan)}, "finite"),
    ("far point", {"point_coords": [[5000, 10]], "point_labels": LABEL}, "600 wide and 400 high"),
    ("far box", {"box": [0, 0, 10, 90000]}, "pixels of the photo"),
    ("unequal batch", {"point_coords": [POINT] * 2, "point_labels": [LABEL] * 2, "box": [BOX] * 3}, "equal numbers"),
    ("points for many boxes", {"point_coords": POINT, "point_labels": LABEL, "box": [BOX] * 3}, "equal numbers"),
    ("batch denied", {"box": [BOX] * 3, "batched": False}, "batched=False"),
]


@pytest.mark.parametrize(("given", "words"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_wrong_prompt_gets_its_own_sentence(given, words):
    with pytest.raises(PromptError, match=words) as caught:
        check(**given)
    assert "\n" not in str(caught.value)
