"""Masks of a photo of 400 x 200 on a canvas of 1024: its logits are the upper 128 of 256 rows."""

import numpy as np
import pytest
import torch

from repvit_sam.canvas import fit_photo
from repvit_sam.low_res_masks import LowResMasks

POINT = np.array([[10.0, 10]])


@pytest.fixture
def found():
    return LowResMasks(fit_photo((200, 400)), offset=1.0, least_stability=0.9, nms_threshold=0.7)


def logits_of(*rectangles, inside=9.0):
    """One mask for each rectangle: rows and columns of logits."""
    logits = torch.full((len(rectangles), 256, 256), -9.0)
    for mask, (rows, columns) in zip(logits, rectangles, strict=True):
        mask[rows, columns] = inside
    return logits


def ious_of(found):
    return [round(iou, 3) for _, iou, _ in found.masks()]


def test_of_masks_with_nearly_the_same_box_the_best_rated_stays(found):
    square, same, other = (
        (slice(10, 50), slice(10, 50)),
        (slice(10, 51), slice(10, 50)),
        (slice(60, 90), slice(9, 40)),
    )
    found.add(logits_of(square, other), [0.8, 0.85], np.repeat(POINT, 2, axis=0))
    found.add(logits_of(same), [0.9], POINT)
    assert ious_of(found) == [0.9, 0.85]


def test_masks_that_are_not_stable_or_empty_are_dropped(found):
    found.add(logits_of((slice(0, 30), slice(0, 30)), inside=0.5), [0.9], POINT)
    found.add(logits_of((slice(0, 0), slice(0, 0))), [0.9], POINT)
    assert ious_of(found) == []


def test_what_lies_in_the_padding_does_not_count(found):
    found.add(logits_of((slice(140, 200), slice(0, 30))), [0.9], POINT)
    assert ious_of(found) == []


def test_points_in_masks_are_held_but_not_those_of_the_background(found):
    points = np.array([[20.0, 20], [380, 180]])
    found.add(logits_of((slice(0, 128), slice(0, 256))), [0.95], POINT)
    assert found.holds(points).tolist() == [False, False]
    found.add(logits_of((slice(0, 64), slice(0, 64))), [0.9], POINT)
    assert found.holds(points).tolist() == [True, False]
