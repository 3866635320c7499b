import numpy as np
import pytest

from repvit_sam.canvas import CanvasFit
from repvit_sam.embedding import EncodedPhoto
from repvit_sam.eval.prompting.mask_edges import boundary_slope, distinct_masks, mask_edges, outer_boundary

from ..discs import disc


def test_the_outer_boundary_lies_beside_the_mask_and_not_on_the_border_of_the_photo():
    mask = np.zeros((7, 8), bool)
    mask[2:4, 0:3] = True
    around = outer_boundary(mask)
    assert not (around & mask).any()
    assert around.sum() == 3 + 2 + 3  # above, right, below; column 0 is the border
    assert not around[:, 0].any()
    assert not outer_boundary(np.ones((5, 5), bool)).any()


def test_the_slope_counts_beside_the_mask_alone():
    probabilities = np.full((20, 30), 0.1, np.float32)
    probabilities[5:15, 8:20] = 0.9
    probabilities[10, 10] = 0.6  # a dent inside, still object
    slope = boundary_slope(probabilities)
    assert (slope > 0).sum() == outer_boundary(probabilities > 0.5).sum()
    assert slope[10, 7] == pytest.approx(4 * 0.8)  # Sobel: weights 1, 2, 1 across a step of 0.8
    assert slope[10, 9] == 0


def test_of_masks_with_nearly_the_same_box_the_better_rated_stays():
    first, again, other, empty = disc(), disc(radius=19), disc(x=70, y=10, radius=8), np.zeros((60, 80), bool)
    kept = distinct_masks(np.array([first, again, other, empty]), np.array([0.5, 0.9, 0.1, 1.0], np.float32))
    assert sorted(kept) == [1, 2]
    assert distinct_masks(empty[None], np.array([1.0], np.float32)).size == 0


class TwoDiscs:
    """A predictor whose masks of every point are the same disc, with logits steep at its edge, and an empty one."""

    def set_image(self, photo):
        self.photo_hw = photo.shape[:2]

    @property
    def encoded(self):
        return EncodedPhoto(np.zeros(0, np.float32), CanvasFit(self.photo_hw, (1024, 1024), 1024))

    def predict(self, points, labels, batched):
        rows, columns = np.mgrid[0:256, 0:256] + 0.5
        logits = np.stack([60 - np.hypot(rows - 128, columns - 128), np.full((256, 256), -9.0)]).astype(np.float32)
        logits = np.repeat(logits[None], len(points), axis=0)
        return logits > 0, np.tile(np.float32([0.9, 0.8]), (len(points), 1)), logits


def test_a_disc_has_a_circle_for_its_edge():
    found = mask_edges(TwoDiscs(), np.zeros((256, 256, 3), np.uint8), points_per_side=2)
    rows, columns = np.nonzero(found)
    radius = np.hypot(rows + 0.5 - 128, columns + 0.5 - 128)
    assert found.max() == 1
    assert radius.min() > 59.5
    assert radius.max() < 62
    assert len(rows) > 2 * np.pi * 59  # closed


def test_where_no_mask_is_found_there_is_no_edge():
    class Nothing(TwoDiscs):
        def predict(self, points, labels, batched):
            masks, ious, logits = super().predict(points, labels, batched)
            return masks & False, ious, logits

    assert not mask_edges(Nothing(), np.zeros((256, 256, 3), np.uint8), points_per_side=2).any()
