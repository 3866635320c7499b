import numpy as np
import pytest
from PIL import Image

from repvit_sam.eval.runner.pictures import (
    TILE,
    Example,
    add_caption,
    crop_around,
    draw_masks,
    save_examples,
    sheet,
)

from ..discs import disc


def plain(value):
    return np.full((20, 30, 3), value, np.uint8)


def test_best_median_and_worst_are_drawn_and_no_others(tmp_path):
    drawn = []

    def example(number):
        def draw():
            drawn.append(number)
            return plain(number * 10)

        return Example(number / 20, draw)

    save_examples(tmp_path, [example(number) for number in range(20)], each=2)
    assert drawn == [19, 18, 10, 9, 0, 1]
    worst = np.asarray(Image.open(tmp_path / "worst.jpg"))
    assert worst.shape == (20, 60, 3)
    assert worst[:, :28].max() < 4


def test_nothing_is_drawn_of_nothing(tmp_path):
    save_examples(tmp_path / "figures", [])
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("box", [(100, 50, 140, 90), (0, 0, 5, 4), (290, 10, 301, 229), (0, 0, 301, 229)])
def test_a_tile_shows_the_box_and_as_much_again_around_it(formula_photo, box):
    picture = formula_photo.copy()
    x0, y0, x1, y1 = box
    picture[y0:y1, x0:x1] = (255, 0, 255)
    tile = crop_around(picture, box)
    assert tile.shape == (TILE, TILE, 3)
    assert (tile[TILE // 2, TILE // 2] == (255, 0, 255)).all()


def test_a_tile_is_grey_beyond_the_photo(formula_photo):
    tile = crop_around(formula_photo, (281, 209, 301, 229))  # 80 pixels around (291, 219), of which 50 x 50 exist
    assert (tile[200:] == 128).all()
    assert (tile[:, 200:] == 128).all()
    assert (tile[:180, :180] != 128).any()


def test_annotated_and_predicted_masks_lie_side_by_side(formula_photo):
    truth, predicted = disc(229, 301, 150, 110, 50), np.zeros((229, 301), bool)
    pair = draw_masks(formula_photo, truth, predicted, "IoU 0.00")
    assert pair.shape == (TILE, 2 * TILE, 3)
    assert (pair[:, :TILE] != pair[:, TILE:]).any()
    assert draw_masks(formula_photo, predicted, truth, "nothing is annotated").shape == pair.shape


def test_a_caption_is_seen_at_the_bottom_of_any_picture():
    for ground in (0, 255):
        written = add_caption(np.full((100, 200, 3), ground, np.uint8), "IoU 0.50", left=100)
        changed = np.argwhere((written != ground).any(-1))
        assert changed[:, 0].min() > 70
        assert changed[:, 1].min() > 100


def test_a_sheet_is_filled_up_with_white():
    made = sheet([plain(0), plain(1), plain(2)])
    assert made.shape == (40, 60, 3)
    assert (made[20:, 30:] == 255).all()
