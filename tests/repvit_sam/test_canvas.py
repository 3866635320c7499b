import numpy as np
import pytest
import torch
from segment_anything.utils.transforms import ResizeLongestSide

from repvit_sam.canvas import check_canvas_size, fit_photo, photo_to_canvas, resize_photo

SIZES_HW = [(229, 301), (301, 229), (1, 1), (1024, 1024), (480, 640), (1100, 1500), (1023, 1025), (3000, 31)]


@pytest.mark.parametrize("photo_hw", SIZES_HW)
def test_resizing_equals_segment_anything_to_the_bit(photo_hw):
    photo = np.random.default_rng(0).integers(0, 256, (*photo_hw, 3), dtype=np.uint8)
    reference = ResizeLongestSide(1024).apply_image(photo)
    np.testing.assert_array_equal(resize_photo(photo, fit_photo(photo_hw)), reference)


def test_the_canvas_equals_sam_preprocess_to_the_bit(model, formula_photo):
    canvas, fit = photo_to_canvas(formula_photo)
    content = torch.as_tensor(resize_photo(formula_photo, fit)).permute(2, 0, 1)[None]
    np.testing.assert_array_equal(canvas, model.preprocess(content).numpy())


@pytest.mark.parametrize("photo_hw", SIZES_HW)
def test_points_and_boxes_go_to_the_canvas_as_in_segment_anything(photo_hw):
    points = np.random.default_rng(1).uniform(0, max(photo_hw), (5, 2))
    boxes = np.random.default_rng(2).uniform(0, max(photo_hw), (3, 4))
    fit, reference = fit_photo(photo_hw), ResizeLongestSide(1024)
    np.testing.assert_array_equal(fit.coords_to_canvas(points), reference.apply_coords(points, photo_hw))
    np.testing.assert_array_equal(fit.boxes_to_canvas(boxes), reference.apply_boxes(boxes, photo_hw))


def test_a_very_thin_photo_keeps_one_pixel():
    assert fit_photo((12000, 3)).content_hw == (1024, 1)


@pytest.mark.parametrize("size", [0, -64, 100, 1000, "1024", 512.0])
def test_a_canvas_that_no_encoder_takes_is_refused(size):
    with pytest.raises(ValueError, match="multiple of 64"):
        check_canvas_size(size)
