import cv2
import numpy as np
import pytest

from repvit_sam.eval.metrics.edge_thinning import edge_normals, suppress_non_maxima, thin

# skimage.morphology.thin (0.26.0) of the noise below; photographs' edges were compared as well, without a difference
SKIMAGE = """\
.###..#.#....#.#.....#.#
#......#...##...#####.#.
#....####.#..###.....#..
#.###..#.#..#...#...#...
#...#...##..#..#.#.#.#.#
.#.###..#.##.##..#.##..#
#.#.#.##.....#.####..##.
.##..#.......##..#..##..
#..##..##..##..##.##..#.
.#...##..##..#.#......#.""".splitlines()


def drawn(*lines):
    return np.array([[mark == "#" for mark in line] for line in lines])


def blobs(seed, shape=(60, 80)):
    noise = np.random.default_rng(seed).random(shape).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 2) > 0.5


def test_a_thick_bar_becomes_its_middle_line():
    bar = np.zeros((11, 30), bool)
    bar[4:7, 5:25] = True
    lines = thin(bar)
    assert lines[5, 6:24].all()
    assert not lines[[4, 6], 7:23].any()


def test_lines_that_are_thin_stay_as_they_are():
    across = np.zeros((9, 9), bool)
    across[4] = across[:, 4] = True  # up to the border of the photo
    for lines in (np.eye(20, dtype=bool), np.fliplr(np.eye(20, dtype=bool)), np.zeros((5, 9), bool), across):
        assert np.array_equal(thin(lines), lines)


def test_a_staircase_becomes_a_diagonal():
    assert np.array_equal(
        thin(drawn("##....", ".##...", "..##..", "...##.", "....##")).sum(axis=1), [1, 1, 1, 1, 2]
    )  # 10 pixels to 6: one a row, and the end


@pytest.mark.parametrize("seed", range(6))
def test_thinning_keeps_pieces_and_holes_and_is_done_at_once(seed):
    mask = blobs(seed)
    lines = thin(mask)
    assert not (lines & ~mask).any()
    assert cv2.connectedComponents(lines.astype(np.uint8))[0] == cv2.connectedComponents(mask.astype(np.uint8))[0]
    outside, outside_lines = (np.pad(~m, 1, constant_values=True).astype(np.uint8) for m in (mask, lines))
    assert (
        cv2.connectedComponents(outside, connectivity=4)[0] == cv2.connectedComponents(outside_lines, connectivity=4)[0]
    )
    assert np.array_equal(thin(lines), lines)


def test_thinning_is_scikit_image_s():
    noise = np.random.default_rng(0).random((10, 24)) < 0.65
    assert np.array_equal(thin(noise), drawn(*SKIMAGE))


def ridge(angle, shape=(60, 60), sigma=2.0):
    """A ridge through the middle whose normal points along ``angle``."""
    y, x = np.mgrid[: shape[0], : shape[1]] - (np.array(shape) // 2)[:, None, None]
    return np.exp(-((x * np.cos(angle) + y * np.sin(angle)) ** 2) / 2 / sigma**2)


@pytest.mark.parametrize("degrees", range(-80, 100, 20))
def test_normals_point_across_a_ridge(degrees):
    normals = edge_normals(ridge(np.deg2rad(degrees)))
    off = (np.rad2deg(normals[30, 30]) - degrees + 90) % 180 - 90
    assert abs(off) < 1


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90, 110, 135])
def test_the_crest_of_a_ridge_stays_and_its_slopes_go(degrees):
    edges = ridge(np.deg2rad(degrees))
    kept = suppress_non_maxima(edges, border=0)
    middle = slice(15, 45), slice(15, 45)
    assert (kept[middle] > 0).sum() <= 45  # a line of 30 to 42 pixels, now and then two wide
    assert kept[middle][kept[middle] > 0].min() > 0.85
    assert np.isin(kept, np.append(edges.astype(np.float32).ravel(), 0)).all()


def test_a_plateau_stays_and_a_slope_goes():
    assert np.array_equal(suppress_non_maxima(np.full((20, 20), 0.5), border=0), np.full((20, 20), 0.5, np.float32))
    slope = np.tile(np.linspace(0, 1, 30), (20, 1)) ** 2
    assert not suppress_non_maxima(slope, border=0)[:, 8:22].any()


def test_what_is_left_fades_towards_the_border():
    kept = suppress_non_maxima(np.ones((20, 30)), border=5)
    assert kept[10].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, *[1] * 20, 0.8, 0.6, 0.4, 0.2, 0])
    assert kept[:, 15].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, *[1] * 10, 0.8, 0.6, 0.4, 0.2, 0])
    assert kept[1, 2] == pytest.approx(0.2 * 0.4)
