import numpy as np
import pytest

from repvit_sam.eval.baselines.edge_detectors import CANNY_RATIO, DETECTORS, STEEPEST, canny, sobel
from repvit_sam.eval.metrics.edges import THRESHOLDS


def step(height=200, size=(60, 80)):
    """A photo dark on the left and lighter on the right, from column 40 on."""
    photo = np.full((*size, 3), 20, np.uint8)
    photo[:, 40:] += np.uint8(height)
    return photo


@pytest.mark.parametrize("name", DETECTORS)
def test_a_step_is_one_line_where_it_is(name):
    edges = DETECTORS[name](step())
    assert edges.shape == (60, 80)
    assert edges.min() == 0
    assert edges.max() <= 1
    inside = edges[10:50] > 0
    assert inside[:, 39:41].any(axis=1).all()
    assert not inside[:, :38].any()
    assert not inside[:, 42:].any()


@pytest.mark.parametrize("name", DETECTORS)
def test_a_photo_of_one_colour_has_no_edges(name):
    assert not DETECTORS[name](np.full((40, 50, 3), 77, np.uint8)).any()


@pytest.mark.parametrize("name", DETECTORS)
def test_a_higher_step_is_a_stronger_edge(name):
    strengths = [DETECTORS[name](step(height))[10:50, 39:41].max() for height in (10, 40, 120)]
    assert strengths == sorted(set(strengths))


def test_strength_is_the_root_of_the_slope():
    # Sobel sees half of a step of 32 grey levels from either side: 16 a pixel
    assert sobel(step(32))[30, 39:41].max() == pytest.approx(np.sqrt(16 / STEEPEST))


def test_a_canny_edge_has_the_highest_threshold_it_survives():
    edges = canny(step(100))[30, 39:41].max()
    slope = 100 / np.sqrt(2 * np.pi * 2**2)  # of a step behind a Gaussian of 2 pixels; Sobel's smoothing takes a little
    assert np.isin(edges, np.array(THRESHOLDS, np.float32))
    assert edges == pytest.approx(np.sqrt(slope / STEEPEST), rel=0.1)


def test_hysteresis_keeps_what_hangs_on_a_strong_edge():
    # the step fades downwards; its weak end survives as long as the strong end does, up to the ratio of the thresholds
    photo = np.full((120, 80, 3), 20, np.uint8)
    photo[:, 40:] += np.linspace(200, 60, 120).astype(np.uint8)[:, None, None]
    edges = canny(photo)[10:110, 39:41].max(axis=1)
    assert edges.min() == pytest.approx(edges.max(), abs=0.02)
    assert 60 / 200 < CANNY_RATIO < (60 + 140 * 0.1) / 200  # so that the ends would differ by half without it
    alone = canny(step(70))[10:50, 39:41].max()
    assert alone < edges.min() - 0.2
