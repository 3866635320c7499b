"""The second look: the crop rule, two answers as one, and every kind of prompt through ``SamPredictor``."""

import numpy as np
import pytest
import torch

import repvit_sam
from repvit_sam.canvas import fit_photo
from repvit_sam.embedding import EncodedPhoto
from repvit_sam.errors import PhotoNotSetError, PromptError
from repvit_sam.prompts import check_prompts
from repvit_sam.refine import CROP_SCALE, SMALL_AREA, Crop, SecondLook, crop_around, look_again, resample

from .conftest import PROMPTS

HANDLE = [380, 90, 430, 150]  # on coffee.jpg: small enough for a crop
SPOON = [322, 232, 412, 322]
SMALL_THINGS = [HANDLE, [170, 12, 300, 100], [20, 20, 60, 80]]


@pytest.mark.parametrize(
    ("box", "photo_hw"),
    [
        ([100, 100, 150, 120], (400, 600)),
        ([0, 0, 20, 30], (400, 600)),
        ([570, 380, 600, 400], (400, 600)),
        ([-15, 90, 20, 120], (400, 600)),
        ([100, 10, 350, 90], (120, 900)),
        ([10, 100, 90, 350], (900, 120)),
        ([300.2, 200.7, 301.1, 201.4], (400, 600)),
        ([300, 200, 300, 200], (400, 600)),
        ([0, 0, 1, 1], (1, 400)),
    ],
    ids=str,
)
def test_the_crop_is_a_square_moved_into_the_photo_and_cut_off_where_it_is_larger(box, photo_hw):
    crop = crop_around(box, photo_hw)
    height, width = photo_hw
    assert 0 <= crop.x0 < crop.x1 <= width
    assert 0 <= crop.y0 < crop.y1 <= height
    side = max(1, round(CROP_SCALE * max(box[2] - box[0], box[3] - box[1])))
    assert crop.hw == (min(side, height), min(side, width))
    x0, y0, x1, y1 = np.clip(box, 0, [width, height, width, height])
    assert crop.x0 <= x0 + 0.5
    assert crop.y0 <= y0 + 0.5
    assert crop.x1 >= x1 - 0.5
    assert crop.y1 >= y1 - 0.5


@pytest.mark.parametrize("box", [[0, 0, 600, 400], [100, 50, 500, 350], [0, 100, 600, 120]])
def test_no_crop_where_it_would_be_the_whole_photo(box):
    assert crop_around(box, (400, 600)) is None


def test_resample_is_the_bilinear_filter_of_torch():
    fit = fit_photo((300, 400), 256)
    logits = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(logits[None, None, :48]), (300, 400), mode="bilinear")
    found = resample(logits, fit, (0, 0, 400, 300), (300, 400))
    np.testing.assert_allclose(found[:290], expected[0, 0, :290], atol=1e-4)  # the last rows see the cells below


def slope(fit, x0=0.0, y0=0.0):
    """Logits whose value tells the place: x + 10 y in photo pixels, at the middle of each cell."""
    side = fit.canvas_size // 4
    (height, width), (content_height, content_width) = fit.photo_hw, fit.content_hw
    y, x = (np.mgrid[:side, :side] + 0.5) * 4
    return (x0 + x * width / content_width + 10 * (y0 + y * height / content_height)).astype(np.float32)


@pytest.mark.parametrize("crop", [Crop(40, 60, 140, 160), Crop(0, 0, 90, 70), Crop(310, 203, 399, 300)])
def test_a_second_look_lands_where_it_was_taken(crop):
    fit, crop_fit = fit_photo((300, 400), 512), fit_photo(crop.hw, 512)
    look = SecondLook(crop, crop_fit, slope(crop_fit, crop.x0, crop.y0), 0.9)
    y, x = np.mgrid[crop.y0 : crop.y1, crop.x0 : crop.x1] + 0.5
    inner = np.s_[2:-2, 2:-2]  # at its border bilinear interpolation repeats the last value
    np.testing.assert_allclose(look.photo_logits()[inner], (x + 10 * y)[inner], atol=1.0)  # a tenth of a pixel down
    first = slope(fit)
    merged = look.into_low_res(np.where(first > 1e9, first, -99.0).astype(np.float32), fit)
    replaced = merged != -99
    np.testing.assert_allclose(merged[replaced], first[replaced], atol=12)  # a cell is 3 pixels: averaged to its middle
    cells = (crop.x1 - crop.x0) * (crop.y1 - crop.y0) * (128 / 400) ** 2
    assert 0.85 * cells < replaced.sum() <= cells


def test_a_crop_smaller_than_a_cell_leaves_the_low_resolution_logits():
    fit, crop_fit = fit_photo((300, 400), 64), fit_photo((2, 2), 64)
    first = slope(fit)
    look = SecondLook(Crop(51, 51, 53, 53), crop_fit, np.ones((16, 16), np.float32), 0.9)
    np.testing.assert_array_equal(look.into_low_res(first, fit), first)
    assert look.photo_logits().shape == (2, 2)


class TwoAnswers:
    """A backend that draws a disc around the prompt, and keeps what it was asked. Logits are ``level`` inside."""

    canvas_size, device = 256, "cpu"

    def __init__(self, radius):
        self.radius, self.level, self.asked = radius, 4.0, []

    def encode(self, canvas):
        return np.zeros((1, 256, 16, 16), np.float32)

    def decode(self, image_embedding, prompts, masks):
        self.asked.append(prompts)
        x, y = prompts.labelled_points()[0][0].mean(0) / 4
        rows, columns = np.mgrid[:64, :64] + 0.5
        logits = np.where(np.hypot(rows - y, columns - x) < self.radius, self.level, -self.level)
        return np.float32(logits)[None, None], np.float32([[0.75]])


@pytest.mark.parametrize(("radius", "alone"), [(2, True), (20, False)])
def test_small_objects_are_the_second_answer_alone_and_others_the_mean_of_both(radius, alone):
    backend = TwoAnswers(radius)
    photo = np.zeros((512, 512, 3), np.uint8)
    encoded = EncodedPhoto(backend.encode(None), fit_photo((512, 512), 256), photo)
    middle, edge = 256, 256 // CROP_SCALE * radius / 64
    prompts = check_prompts(None, None, [middle - edge, middle - edge, middle + edge, middle + edge], None, encoded.fit)
    first = backend.decode(None, prompts.on_canvas(encoded.fit), slice(0, 1))[0][0, 0]
    assert ((first > 0).sum() * 16 < SMALL_AREA) == alone
    backend.level = 8.0
    look = look_again(backend, encoded, prompts, first, 0.25)
    assert look.low_res_logits[32, 32] == pytest.approx(8.0 if alone else 6.0)
    assert look.iou_prediction == pytest.approx(0.75 if alone else 0.5)
    assert backend.asked[-1].mask_input.shape == (1, 1, 64, 64)
    np.testing.assert_allclose(backend.asked[-1].mask_input[0, 0, 32, 32], 4.0)


def test_points_outside_the_crop_become_padding_and_a_box_is_cut_off_at_it():
    backend = TwoAnswers(2)
    encoded = EncodedPhoto(None, fit_photo((400, 600), 256), np.zeros((400, 600, 3), np.uint8))
    prompts = check_prompts([[20, 30], [500, 300]], [1, 0], [-20, 10, 30, 50], None, encoded.fit)
    first = np.full((64, 64), -5, np.float32)
    first[2:4, 1:3] = 5
    look_again(backend, encoded, prompts, first, 0.25)
    (asked,) = backend.asked
    assert asked.point_labels.tolist() == [[1, -1]]
    assert asked.boxes.min() == 0


def test_an_empty_mask_and_an_object_that_fills_the_photo_are_not_encoded_again():
    backend = TwoAnswers(2)
    encoded = EncodedPhoto(None, fit_photo((400, 600), 256), np.zeros((400, 600, 3), np.uint8))
    point = check_prompts([[300, 200]], [1], None, None, encoded.fit)
    for level in (-5, 5):
        assert look_again(backend, encoded, point, np.full((64, 64), level, np.float32), 0.5) is None
    assert backend.asked == []


def different(one, other):
    return np.count_nonzero(one != other)


@pytest.mark.parametrize("prompt", [*PROMPTS, "a small box"])
def test_every_kind_of_prompt_is_refined(small_photo, prompt):
    arguments = dict(PROMPTS.get(prompt, {"box": HANDLE}))
    if "mask_input" in arguments:
        arguments["mask_input"] = small_photo.predict(box=HANDLE, multimask_output=False)[2]
    first = small_photo.predict(**arguments, multimask_output=False, return_logits=True)
    masks, ious, logits = small_photo.predict(**arguments, multimask_output=False, return_logits=True, refine=True)
    assert [array.shape for array in (masks, ious, logits)] == [array.shape for array in first]
    assert [array.dtype for array in (masks, ious, logits)] == [array.dtype for array in first]
    if prompt == "a small box":
        assert different(logits, first[2])
        changed = np.nonzero(masks[0] != first[0][0])
        assert 0 < np.ptp(changed[0]) < CROP_SCALE * 60
        assert 0 < np.ptp(changed[1]) < CROP_SCALE * 60
    again = small_photo.predict(box=HANDLE, mask_input=logits, multimask_output=False)[0]
    assert again.shape == masks.shape  # what is returned can be passed on


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.fixture(scope="module")
def sharp_spoon(coffee):
    """The same model's mask on a canvas of 1024."""
    predictor = repvit_sam.SamPredictor(repvit_sam.load("small", "cpu"))
    predictor.set_image(coffee)
    return predictor.predict(box=SPOON, multimask_output=False)[0]


@pytest.mark.parametrize("prompt", [{}, {"box": SPOON}, {"point_coords": [[370, 285]], "point_labels": [1]}], ids=str)
def test_an_existing_mask_is_refined(small_photo, prompt, sharp_spoon):
    existing, _, logits = small_photo.predict(box=SPOON, multimask_output=False)
    masks, ious, low_res_logits = small_photo.refine(logits, **prompt)
    assert (masks.shape, ious.shape, low_res_logits.shape) == ((1, 400, 600), (1,), (1, 64, 64))
    assert different(masks, existing)
    assert overlap(masks, existing) > 0.6  # the same object: 0.72 to 0.82
    assert overlap(masks, sharp_spoon) > overlap(existing, sharp_spoon) + 0.05  # 0.84 to 0.94, and 0.72
    again = small_photo.refine(logits, **prompt, return_logits=True)[0]
    np.testing.assert_array_equal(masks, again > 0)


def test_the_mask_of_a_prompt_refined_later_is_the_same(small_photo):
    at_once = small_photo.predict(box=SPOON, multimask_output=False, refine=True)
    _, _, logits = small_photo.predict(box=SPOON, multimask_output=False)
    later = small_photo.refine(logits, box=SPOON)
    np.testing.assert_array_equal(at_once[0], later[0])
    np.testing.assert_array_equal(at_once[2], later[2])


def test_existing_masks_are_refined_in_a_batch(small_photo):
    _, _, logits = small_photo.predict(box=SMALL_THINGS, multimask_output=False)
    masks, ious, _ = small_photo.refine(logits, box=SMALL_THINGS)
    assert (masks.shape, ious.shape) == ((3, 1, 400, 600), (3, 1))
    np.testing.assert_array_equal(masks[1], small_photo.refine(logits[1], box=SMALL_THINGS[1])[0])


def test_an_existing_mask_that_fills_the_photo_stays_and_is_not_rated(small_photo):
    masks, ious, logits = small_photo.refine(np.full((1, 64, 64), 9, np.float32))
    assert masks.all()
    assert np.isnan(ious).all()
    assert (logits == 9).all()


def test_refining_needs_a_mask(small_photo):
    with pytest.raises(PromptError, match="refine needs mask_input"):
        small_photo.refine(None, box=SPOON)


def test_masks_are_the_logits_above_the_threshold(small_photo):
    logits = small_photo.predict(box=HANDLE, multimask_output=False, return_logits=True, refine=True)[0]
    masks = small_photo.predict(box=HANDLE, multimask_output=False, refine=True)[0]
    np.testing.assert_array_equal(masks, logits > 0)


def test_of_three_masks_the_best_rated_is_refined(small_photo):
    first = small_photo.predict(box=HANDLE)
    found = small_photo.predict(box=HANDLE, refine=True)
    best = int(first[1].argmax())
    others = [index for index in range(3) if index != best]
    np.testing.assert_array_equal(first[1], found[1])  # the ratings stay
    for before, after in ((first[0], found[0]), (first[2], found[2])):
        np.testing.assert_array_equal(before[others], after[others])
        assert different(before[best], after[best])


def test_a_batch_is_refined_one_by_one(small_photo):
    masks, ious, logits = small_photo.predict(box=SMALL_THINGS, multimask_output=False, refine=True)
    assert masks.shape == (3, 1, 400, 600)
    for index, box in enumerate(SMALL_THINGS):
        mask, iou, low_res = small_photo.predict(box=box, multimask_output=False, refine=True)
        assert different(masks[index], mask) <= 3  # float32 sums in another order
        np.testing.assert_allclose(ious[index], iou, atol=1e-3)
        np.testing.assert_allclose(logits[index], low_res, atol=5e-3)
    none = small_photo.predict(box=np.zeros((0, 4)), multimask_output=False, refine=True)
    assert none[0].shape == (0, 1, 400, 600)


def test_photos_of_a_batch_are_refined(small, coffee, formula_photo):
    predictor = repvit_sam.SamPredictor(small)
    predictor.set_image_batch([coffee, formula_photo])
    boxes = [HANDLE, [[100, 60, 150, 110], [10, 10, 40, 40]]]
    masks, _, _ = predictor.predict_batch(box_batch=boxes, multimask_output=False, refine=True)
    assert [mask.shape for mask in masks] == [(1, 400, 600), (2, 1, 229, 301)]
    predictor.set_image(coffee)
    assert different(masks[0], predictor.predict(box=HANDLE, multimask_output=False, refine=True)[0]) == 0


def test_an_array_that_changes_later_is_looked_at_as_it_was(small, small_photo, coffee):
    frame = coffee.copy()
    predictor = repvit_sam.SamPredictor(small)
    predictor.set_image(frame)
    frame[:] = 0
    expected = small_photo.predict(box=HANDLE, multimask_output=False, refine=True)[0]
    np.testing.assert_array_equal(predictor.predict(box=HANDLE, multimask_output=False, refine=True)[0], expected)


def test_without_the_photo_there_is_no_second_look(small, small_photo, tmp_path):
    small_photo.save_embedding(tmp_path / "coffee.safetensors")
    predictor = repvit_sam.SamPredictor(small)
    predictor.load_embedding(tmp_path / "coffee.safetensors")
    with pytest.raises(PhotoNotSetError, match=r"call set_image\(photo\) for refine=True"):
        predictor.predict(box=HANDLE, refine=True)
    assert predictor.predict(box=HANDLE)[0].shape == (3, 400, 600)
