import numpy as np
import pytest
import torch
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.utils.onnx import SamOnnxModel

from repvit_sam.canvas import photo_to_canvas, resize_photo
from repvit_sam.export.coreml_runtime.model import fill_slots
from repvit_sam.export.traceable import OnnxDecoderModule, PictureEncoder, PromptDecoder, ScaledLayerNorm2d
from repvit_sam.modeling.decoder import decode_reference
from repvit_sam.prompts import CanvasPrompts

from ..conftest import CANVAS


@pytest.mark.parametrize("padding", [0, 124, 255, "noise"])
@pytest.mark.parametrize("photo_hw", [(229, 301), (301, 229), (256, 256), (3, 900), (900, 3)])
def test_the_canvas_made_inside_equals_the_one_made_in_python(photo_hw, padding):
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (*photo_hw, 3), dtype=np.uint8)
    expected, fit = photo_to_canvas(photo, CANVAS)
    image = random.integers(0, 256, (1, 3, CANVAS, CANVAS), dtype=np.uint8)
    if padding != "noise":
        image[:] = padding
    height, width = fit.content_hw
    image[0, :, :height, :width] = resize_photo(photo, fit).transpose(2, 0, 1)
    network = PictureEncoder(torch.nn.Identity(), CANVAS)
    found = network(torch.from_numpy(image), torch.tensor([float(height), float(width)]))
    np.testing.assert_array_equal(found.numpy(), expected)


# points, whether a box, whether a mask
KINDS = [(1, False, False), (2, False, True), (5, False, False), (10, False, False), (0, True, False)]
KINDS += [(3, True, True), (14, True, False), (0, False, True)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("empty_slots", [False, True], ids=["SAM's padding", "empty slots"])
@torch.no_grad()
def test_the_decoder_equals_segment_anything(small, prepared, small_photo, kind, empty_slots):
    count, has_box, has_mask = kind
    random = np.random.default_rng(count)
    coords = random.uniform(0, CANVAS, (1, count, 2)).astype(np.float32)
    labels = random.integers(0, 2, (1, count)).astype(np.float32)
    box = np.array([[30, 20, 180, 150]], dtype=np.float32) if has_box else None
    mask = torch.randn(1, 1, CANVAS // 4, CANVAS // 4) * 5
    given = (torch.from_numpy(coords), torch.from_numpy(labels)) if count else (None, None)
    corners = torch.from_numpy(box) if box is not None else None
    expected = decode_reference(small, small_photo.features, CanvasPrompts(*given, corners, mask if has_mask else None))
    points = CanvasPrompts(*((coords, labels) if count else (None, None)), box).labelled_points()
    if empty_slots:
        real = points[1][0] >= 0
        points = fill_slots(points[0][0][real], points[1][0][real])
    network = PromptDecoder(prepared, empty_slots)
    found = network(small_photo.features, *map(torch.from_numpy, points), mask, torch.tensor([float(has_mask)]))
    scale = expected[0].abs().max()
    assert (found[0] - expected[0]).abs().max() < 1e-5 * scale
    assert (found[1] - expected[1]).abs().max() < 1e-5


@pytest.mark.parametrize("single_mask", [False, True])
@pytest.mark.parametrize("labels", [[1, -1], [1, 0, 1], [2, 3]], ids=str)
@torch.no_grad()
def test_the_onnx_decoder_equals_segment_anythings_own(small, prepared, small_photo, labels, single_mask):
    points = torch.rand(1, len(labels), 2) * CANVAS
    mask, has_mask = torch.randn(1, 1, CANVAS // 4, CANVAS // 4), torch.ones(1)
    arguments = (
        small_photo.features,
        points,
        torch.tensor([labels]).float(),
        mask,
        has_mask,
        torch.tensor([400.0, 600]),
    )
    expected = SamOnnxModel(small, return_single_mask=single_mask)(*arguments)
    for ours, theirs in zip(OnnxDecoderModule(prepared, single_mask)(*arguments), expected, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < 1e-5 * max(1.0, theirs.abs().max())


@pytest.mark.parametrize(("size", "scale"), [(400, 1 / 16), (0.004, 16)], ids=["neck", "mask"])
def test_the_layer_norm_keeps_its_digits_and_stays_within_fp16(size, scale):
    norm = LayerNorm2d(8)
    torch.nn.init.normal_(norm.weight), torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 8, 5, 5) * size
    torch.testing.assert_close(ScaledLayerNorm2d(norm, scale)(x), norm(x), rtol=1e-6, atol=1e-6)
    deviation = x - x.mean(1, keepdim=True)

    def digits_lost(values):
        return ((values.half() ** 2).float().mean(1) / (values**2).mean(1) - 1).abs().max()

    assert digits_lost(deviation * scale) < 2e-3
    assert digits_lost(deviation / scale) > 1e-2  # as the other part's norms are scaled: infinite, or no digits left


def test_what_was_given_is_left_as_it_was(small, prepared):
    assert not any(isinstance(module, ScaledLayerNorm2d) for module in small.modules())
    assert any(isinstance(module, ScaledLayerNorm2d) for module in prepared.modules())
    assert not any(isinstance(module, LayerNorm2d) for module in prepared.modules())
