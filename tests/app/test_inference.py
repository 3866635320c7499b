"""The masks a person chooses from are the predictor's."""

import numpy as np
import pytest
import torch

import repvit_sam
from repvit_sam.app.inference import decode_chain
from repvit_sam.app.schemas import PromptSet
from repvit_sam.embedding import as_numpy

CUP = (300.0, 200.0, 1)
SAUCER = (200.0, 260.0, 0)
BOX = (170.0, 12.0, 425.0, 282.0)


@pytest.fixture(scope="module")
def predictor(small_model, coffee):
    predictor = repvit_sam.SamPredictor(small_model)
    predictor.set_image(coffee)
    return predictor


def close(ours, theirs):
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-3)  # logits run to about 30


def test_one_point_gives_the_three_masks_of_segment_anything_and_the_best_rated_first_choice(predictor):
    found = decode_chain(predictor, (PromptSet(points=(CUP,)),), {})
    _, ious, logits = predictor.predict([CUP[:2]], [1])
    close(found.low_res_logits, logits)
    assert found.best == int(ious.argmax())


def test_a_box_gives_the_single_mask_and_the_two_best_of_the_three(predictor):
    found = decode_chain(predictor, (PromptSet(box=BOX),), {})
    close(found.low_res_logits[0], predictor.predict(box=BOX, multimask_output=False)[2][0])
    _, ious, logits = predictor.predict(box=BOX)
    close(found.low_res_logits[1:], logits[ious.argsort()[::-1][:2]])
    assert found.best == 0


def test_the_next_point_is_fed_the_picked_logits(predictor):
    chain = (PromptSet(points=(CUP,), pick=2), PromptSet(points=(CUP, SAUCER)))
    found = decode_chain(predictor, chain, {})
    _, _, first = predictor.predict([CUP[:2]], [1])
    _, _, logits = predictor.predict([CUP[:2], SAUCER[:2]], [1, 0], mask_input=first[2:3], multimask_output=False)
    close(found.low_res_logits[0], logits[0])


def test_a_forgotten_chain_is_computed_again_to_the_same_masks(predictor):
    chain = (
        PromptSet(points=(CUP,), pick=1),
        PromptSet(points=(CUP, SAUCER)),
        PromptSet(points=(CUP, SAUCER, (310.0, 100.0, 1))),
    )
    cache = {}
    decode_chain(predictor, chain[:2], cache)
    remembered = decode_chain(predictor, chain, cache)
    forgotten = decode_chain(predictor, chain, {})
    assert torch.equal(remembered.low_res_logits, forgotten.low_res_logits)


def test_the_last_pick_chooses_and_does_not_compute(predictor):
    cache = {}
    first = decode_chain(predictor, (PromptSet(points=(CUP,)),), cache)
    again = decode_chain(predictor, (PromptSet(points=(CUP,), pick=0),), cache)
    assert again is first
    assert first.picked(0, predictor.encoded.fit)[1] == first.iou_predictions[0]


def test_a_box_drawn_from_its_lower_right_corner_is_the_same_box(predictor):
    drawn = decode_chain(predictor, (PromptSet(box=(425, 282, 170, 12)),), {})
    assert torch.equal(drawn.low_res_logits, decode_chain(predictor, (PromptSet(box=BOX),), {}).low_res_logits)


HANDLE = (380.0, 90.0, 430.0, 150.0)  # of the cup: small enough for a second look


def test_the_refined_candidate_is_the_librarys_and_the_others_stay(predictor):
    fit = predictor.encoded.fit
    for pick in (0, 1):
        first = decode_chain(predictor, (PromptSet(box=HANDLE),), {})
        found = decode_chain(predictor, (PromptSet(box=HANDLE, pick=pick, refine=True),), {})
        assert found.best == pick
        expected = predictor.refine(as_numpy(first.low_res_logits)[pick : pick + 1], box=HANDLE)
        np.testing.assert_array_equal(found.picked(None, fit)[0], expected[0][0])
        np.testing.assert_array_equal(found.low_res_logits[pick], expected[2][0])
        for other in {0, 1, 2} - {pick}:
            np.testing.assert_array_equal(found.low_res_logits[other], as_numpy(first.low_res_logits)[other])
            assert found.picked(other, fit)[1] == first.iou_predictions[other]
        assert not np.array_equal(found.picked(pick, fit)[0], first.picked(pick, fit)[0])


def test_the_next_point_is_fed_the_refined_logits(predictor):
    refined = PromptSet(box=HANDLE, pick=0, refine=True)
    found = decode_chain(predictor, (refined, PromptSet(box=HANDLE, points=(SAUCER,))), {})
    _, _, first = predictor.predict(box=HANDLE, multimask_output=False, refine=True)
    _, _, logits = predictor.predict([SAUCER[:2]], [0], HANDLE, first, multimask_output=False)
    close(found.low_res_logits[0], logits[0])


def test_an_object_that_fills_the_photo_stays_as_it_is(predictor):
    box = (0, 0, 600, 400)
    first = decode_chain(predictor, (PromptSet(box=box),), {})
    found = decode_chain(predictor, (PromptSet(box=box, pick=1, refine=True),), {})
    assert (found.look, found.best) == (None, 1)
    assert torch.equal(found.low_res_logits, first.low_res_logits)


class NumpyBackend:
    """Four logits for any prompt, in NumPy: a disc for the single mask, larger ones for the three."""

    canvas_size, device = 64, "cpu"

    def encode(self, canvas):
        return np.zeros((1, 256, 4, 4), np.float32)

    def decode(self, image_embedding, prompts, masks):
        y, x = np.mgrid[:16, :16]
        logits = np.stack([radius - np.hypot(y - 8, x - 8) for radius in (3, 4, 6, 5)]).astype(np.float32)
        return logits[None, masks], np.float32([[0.5, 0.6, 0.7, 0.9]])[:, masks]


def test_candidates_need_no_torch():
    predictor = repvit_sam.SamPredictor(NumpyBackend())
    predictor.set_image(np.zeros((64, 64, 3), np.uint8))
    fit = predictor.encoded.fit
    point = decode_chain(predictor, (PromptSet(points=((30, 30, 1),)),), {})
    box = decode_chain(predictor, (PromptSet(box=(10, 10, 50, 50)),), {})
    assert (point.best, box.best) == (2, 0)
    assert box.iou_predictions == pytest.approx((0.5, 0.9, 0.7))
    areas = [box.picked(pick, fit)[0].sum() for pick in (None, 1, 2)]
    assert areas == sorted(areas)
    assert np.array_equal(point.picked(None, fit)[0], box.picked(1, fit)[0])
