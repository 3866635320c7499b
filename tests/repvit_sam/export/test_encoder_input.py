"""Exported pairs in the conventions of other programs, on the suite's small canvas.

``AnnotationTool`` is a stand-in of our own: it does what AnyLabeling 0.4.43 and X-AnyLabeling 4.2.1 (GPL, and with a
window) do with a pair of files. tests/integrations/test_onnx_runners.py runs samexporter and osam themselves.
"""

import numpy as np
import pytest
from PIL import Image

from repvit_sam.backends.onnx_session import open_session
from repvit_sam.canvas import photo_to_canvas, resize_photo
from repvit_sam.export.encoder_input import CANVAS as OWN_CANVAS
from repvit_sam.export.encoder_input import CONVENTIONS, PICTURE
from repvit_sam.export.onnx import write_decoder, write_encoder

from ..conftest import CANVAS, CUP

POINT = [300, 200]


class AnnotationTool:
    """Puts the photo at the top left of a picture two thirds as high as it is wide, black elsewhere, for the encoder.

    It adds a padding point to every prompt, and shows the first of the masks.
    """

    def __init__(self, folder):
        self.encoder, self.decoder = open_session(folder / "photo.onnx"), open_session(folder / "decoder.onnx")
        self.picture_hw = (CANVAS * 684 // 1024, CANVAS)

    def mask(self, photo, points, labels):
        scale = min(self.picture_hw[0] / photo.shape[0], self.picture_hw[1] / photo.shape[1])
        height, width = round(photo.shape[0] * scale), round(photo.shape[1] * scale)
        picture = np.zeros((*self.picture_hw, 3), dtype=np.float32)
        picture[:height, :width] = Image.fromarray(photo).resize((width, height), Image.Resampling.BILINEAR)
        (embedding,) = self.encoder.run(["image_embeddings"], {"input_image": picture})
        feeds = {
            **prompt_of(np.array(points) * scale, labels),
            "image_embeddings": embedding,
            "orig_im_size": np.array(self.picture_hw, dtype=np.float32),
        }
        masks, _, _ = self.decoder.run(["masks", "iou_predictions", "low_res_masks"], feeds)
        content = Image.fromarray(masks[0, 0, :height, :width])
        return np.asarray(content.resize(photo.shape[1::-1], Image.Resampling.BILINEAR)) > 0


def prompt_of(coords_xy, labels, has_mask=0.0):
    """One prompt in canvas pixels, with the padding point that annotation tools always add."""
    return {
        "point_coords": np.array([[*coords_xy, [0, 0]]], dtype=np.float32),
        "point_labels": np.array([[*labels, -1]], dtype=np.float32),
        "mask_input": np.zeros((1, 1, CANVAS // 4, CANVAS // 4), dtype=np.float32),
        "has_mask_input": np.array([has_mask], dtype=np.float32),
    }


@pytest.fixture(scope="module")
def pair(prepared, tmp_path_factory):
    """photo.onnx as samexporter has it, canvas.onnx as osam has it, and the decoder of both."""
    folder = tmp_path_factory.mktemp("conventions")
    write_encoder(prepared, folder / "photo.onnx", CONVENTIONS["samexporter"])
    write_encoder(prepared, folder / "canvas.onnx", CONVENTIONS["osam"])
    write_decoder(prepared, folder / "decoder.onnx", single_mask=True, empty_slots=True)
    return folder


def iou(found, expected):
    return (found & expected).sum() / (found | expected).sum()


@pytest.mark.parametrize("name", ["photo", "canvas"])
@pytest.mark.parametrize("turned", [False, True], ids=["landscape", "portrait"])
def test_each_encoder_gives_the_models_embedding(pair, small_photo, coffee, name, turned):
    photo = np.ascontiguousarray(coffee.transpose(1, 0, 2)) if turned else coffee
    canvas, fit = photo_to_canvas(photo, CANVAS)
    convention = CONVENTIONS["samexporter" if name == "photo" else "osam"]
    feeds = convention.feeds(resize_photo(photo, fit), canvas)
    (found,) = open_session(pair / f"{name}.onnx").run(["image_embeddings"], feeds)
    np.testing.assert_allclose(found, small_photo.backend.encode(canvas).numpy(), atol=1e-3)


@pytest.mark.parametrize("has_mask", [0.0, -1.0], ids=["no mask", "no mask as osam says it"])
@pytest.mark.parametrize("prompt", ["box", "point"])
def test_with_a_padding_point_beside_it_every_prompt_gives_the_predictors_mask(pair, small_photo, prompt, has_mask):
    """SAM adds its padding point to points alone; an annotation tool adds one to a box, too."""
    if prompt == "box":
        given, labels = np.array(CUP).reshape(2, 2), [2, 3]
        expected = small_photo.predict(box=CUP, multimask_output=False)[0][0]
    else:
        given, labels = np.array([POINT]), [1]
        masks, ious, _ = small_photo.predict([POINT], [1])
        expected = masks[ious.argmax()]
    feeds = {
        **prompt_of(small_photo.encoded.fit.coords_to_canvas(given), labels, has_mask),
        "image_embeddings": small_photo.features.numpy(),
        "orig_im_size": np.array(expected.shape, dtype=np.float32),
    }
    (found,) = open_session(pair / "decoder.onnx").run(["masks"], feeds)
    assert found.shape == (1, 1, *expected.shape)
    assert np.count_nonzero((found[0, 0] > 0) != expected) <= 3


def test_several_prompts_have_padding_of_their_own(pair, small_photo):
    """A box and a point at once, each with an empty slot in another place."""
    fit = small_photo.encoded.fit
    corners, point = fit.coords_to_canvas(np.array(CUP).reshape(2, 2)), fit.coords_to_canvas(np.array([POINT]))
    coords = np.array([[*corners, [0, 0]], [[0, 0], *point, [0, 0]]], dtype=np.float32)
    labels = np.array([[2, 3, -1], [-1, 1, -1]], dtype=np.float32)
    feeds = {
        **prompt_of(corners, [2, 3]),
        "point_coords": coords,
        "point_labels": labels,
        "image_embeddings": small_photo.features.numpy(),
        "orig_im_size": np.array(fit.photo_hw, dtype=np.float32),
    }
    (found,) = open_session(pair / "decoder.onnx").run(["masks"], feeds)
    expected = small_photo.predict(box=CUP, multimask_output=False)[0][0]
    assert np.count_nonzero((found[0, 0] > 0) != expected) <= 3
    expected = small_photo.predict([POINT], [1], multimask_output=False)[0][0]  # three slots: the single mask
    assert np.count_nonzero((found[1, 0] > 0) != expected) <= 3


@pytest.mark.parametrize(("points", "labels"), [([POINT], [1]), ([CUP[:2], CUP[2:]], [2, 3])], ids=["point", "box"])
def test_an_annotation_tool_shows_the_predictors_mask(pair, small_photo, coffee, points, labels):
    """It resizes by another filter and encodes black beside the photo: the masks agree, but not to the pixel."""
    found = AnnotationTool(pair).mask(coffee, points, labels)
    if labels == [1]:
        masks, ious, _ = small_photo.predict(points, labels)
        expected = masks[ious.argmax()]
    else:
        expected = small_photo.predict(box=CUP, multimask_output=False)[0][0]
    assert iou(found, expected) > 0.95


def test_every_form_says_what_it_takes():
    for form in (OWN_CANVAS, PICTURE, *CONVENTIONS.values()):
        names = [spec.name for spec in form.specs(CANVAS)]
        content = np.zeros((100, CANVAS, 3), dtype=np.uint8)
        canvas = np.zeros((1, 3, CANVAS, CANVAS), dtype=np.float32)
        assert list(form.feeds(content, canvas)) == names
        assert len(form.example(CANVAS)) == len(names)
