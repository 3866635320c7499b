"""The masks a person chooses from are the predictor's."""

import numpy as np
import pytest
import torch

import repvit_sam
from repvit_sam.app.inference import candidates_of
from repvit_sam.app.schemas import Step

CUP = (300.0, 200.0, 1)
SAUCER = (200.0, 260.0, 0)
BOX = (170.0, 12.0, 425.0, 282.0)


@pytest.fixture(scope="module")
def predictor(model, coffee):
    predictor = repvit_sam.SamPredictor(model)
    predictor.set_image(coffee)
    return predictor


def close(ours, theirs):
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-3)  # logits run to about 30


def test_one_point_gives_the_three_masks_of_segment_anything_and_the_best_rated_first_choice(model, predictor):
    found = candidates_of(model, predictor.encoded, (Step(points=(CUP,)),), {})
    _, ious, logits = predictor.predict([CUP[:2]], [1])
    close(found.low_res_logits, logits)
    assert found.best == int(ious.argmax())


def test_a_box_gives_the_single_mask_and_the_two_best_of_the_three(model, predictor):
    found = candidates_of(model, predictor.encoded, (Step(box=BOX),), {})
    close(found.low_res_logits[0], predictor.predict(box=BOX, multimask_output=False)[2][0])
    _, ious, logits = predictor.predict(box=BOX)
    close(found.low_res_logits[1:], logits[ious.argsort()[::-1][:2]])
    assert found.best == 0


def test_the_next_point_is_fed_the_picked_logits(model, predictor):
    chain = (Step(points=(CUP,), pick=2), Step(points=(CUP, SAUCER)))
    found = candidates_of(model, predictor.encoded, chain, {})
    _, _, first = predictor.predict([CUP[:2]], [1])
    _, _, logits = predictor.predict([CUP[:2], SAUCER[:2]], [1, 0], mask_input=first[2:3], multimask_output=False)
    close(found.low_res_logits[0], logits[0])


def test_a_forgotten_chain_is_computed_again_to_the_same_masks(model, predictor):
    chain = (Step(points=(CUP,), pick=1), Step(points=(CUP, SAUCER)), Step(points=(CUP, SAUCER, (310.0, 100.0, 1))))
    known = {}
    candidates_of(model, predictor.encoded, chain[:2], known)
    remembered = candidates_of(model, predictor.encoded, chain, known)
    forgotten = candidates_of(model, predictor.encoded, chain, {})
    assert torch.equal(remembered.low_res_logits, forgotten.low_res_logits)


def test_the_last_pick_chooses_and_does_not_compute(model, predictor):
    known = {}
    first = candidates_of(model, predictor.encoded, (Step(points=(CUP,)),), known)
    again = candidates_of(model, predictor.encoded, (Step(points=(CUP,), pick=0),), known)
    assert again is first
    assert torch.equal(first.picked(0), first.low_res_logits[0])


def test_a_box_drawn_from_its_lower_right_corner_is_the_same_box(model, predictor):
    drawn = candidates_of(model, predictor.encoded, (Step(box=(425, 282, 170, 12)),), {})
    assert torch.equal(
        drawn.low_res_logits, candidates_of(model, predictor.encoded, (Step(box=BOX),), {}).low_res_logits
    )
