import numpy as np
import pytest
import torch
from PIL import Image
from segment_anything import SamPredictor as ReferencePredictor
from segment_anything.modeling import Sam

import repvit_sam
from repvit_sam.backends.pytorch import TorchBackend
from repvit_sam.checkpoints import find_checkpoint
from repvit_sam.errors import CheckpointError, PhotoError, PhotoNotSetError, PromptError
from repvit_sam.masks import mask_slice

from ..conftest import PHOTOS
from .conftest import CUP


@pytest.fixture(scope="module")
def reference(model, coffee):
    """segment_anything's own predictor and its own Sam, around the same weights."""
    predictor = ReferencePredictor(Sam(model.image_encoder, model.prompt_encoder, model.mask_decoder))
    predictor.set_image(coffee)
    return predictor


def as_arrays(**prompt):
    return {name: np.array(value) if isinstance(value, list) else value for name, value in prompt.items()}


@pytest.fixture
def bit_equal(model, coffee_encoded):
    predictor = repvit_sam.SamPredictor(model, bit_equal=True)
    predictor.encoded = coffee_encoded
    return predictor


each_prompt = pytest.mark.parametrize(
    "prompt",
    [
        {"point_coords": [[300, 200]], "point_labels": [1]},
        {"point_coords": [[300, 200], [20, 20]], "point_labels": [1, 0], "multimask_output": False},
        {"box": CUP, "multimask_output": False},
        {"box": [CUP], "multimask_output": False},
        {"box": CUP, "point_coords": [[300, 200]], "point_labels": [1]},
        {"box": [-15, -4, 610.5, 404]},
        {"point_coords": [[599.5, 399.5]], "point_labels": [1]},
        {},
    ],
    ids=str,
)
each_result = pytest.mark.parametrize("return_logits", [False, True], ids=["masks", "logits"])


@each_prompt
@each_result
def test_predict_equals_segment_anything_to_the_bit_where_that_is_asked_for(
    bit_equal, reference, prompt, return_logits
):
    expected = reference.predict(**as_arrays(**prompt), return_logits=return_logits)
    found = bit_equal.predict(**as_arrays(**prompt), return_logits=return_logits)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@each_prompt
@each_result
def test_predict_equals_segment_anything_up_to_rounding(predictor, reference, prompt, return_logits):
    masks, *expected = reference.predict(**as_arrays(**prompt), return_logits=return_logits)
    found_masks, *found = predictor.predict(**as_arrays(**prompt), return_logits=return_logits)
    assert found_masks.dtype == masks.dtype
    if return_logits:
        np.testing.assert_allclose(found_masks, masks, atol=5e-4, rtol=0)
    else:
        assert (found_masks != masks).sum() <= 2  # of 240,000 pixels and more
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, atol=5e-4, rtol=0)


def test_only_a_pytorch_model_is_bit_equal(onnx_folder):
    with pytest.raises(ValueError, match="bit_equal needs a PyTorch model, got OnnxBackend"):
        repvit_sam.SamPredictor(repvit_sam.load(onnx_folder, engine="onnx"), bit_equal=True)


def test_logits_fed_back_equal_segment_anything(bit_equal, reference):
    prompt = as_arrays(point_coords=[[300, 200]], point_labels=[1])
    _, ious, logits = reference.predict(**prompt)
    feedback = logits[ious.argmax()][None]
    expected = reference.predict(**prompt, mask_input=feedback, multimask_output=False)
    found = bit_equal.predict(**prompt, mask_input=feedback, multimask_output=False)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_predict_torch_equals_segment_anything(predictor, reference, coffee):
    boxes = torch.tensor([CUP, [10, 10, 200, 300]], dtype=torch.float)
    boxes = predictor.transform.apply_boxes_torch(boxes, coffee.shape[:2])
    expected = reference.predict_torch(None, None, boxes, multimask_output=False)
    found = predictor.predict_torch(None, None, boxes, multimask_output=False)
    assert (found[0] != expected[0]).sum() <= 3  # fast_decoder.py
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(ours, theirs, atol=5e-4, rtol=0)


def test_set_image_and_set_torch_image_equal_segment_anything(model, reference, coffee):
    predictor = repvit_sam.SamPredictor(model)
    predictor.set_image(coffee)
    assert torch.equal(predictor.get_image_embedding(), reference.get_image_embedding())
    assert (predictor.original_size, predictor.input_size) == (reference.original_size, reference.input_size)
    resized = predictor.transform.apply_image(coffee)
    predictor.set_torch_image(torch.as_tensor(resized).permute(2, 0, 1)[None], coffee.shape[:2])
    assert torch.equal(predictor.features, reference.features)


@pytest.mark.parametrize(
    "source",
    [
        lambda path, photo: photo[..., ::-1],
        lambda path, photo: torch.from_numpy(photo[..., ::-1].copy()).permute(2, 0, 1),
        lambda path, photo: path,
        lambda path, photo: path.read_bytes(),
        lambda path, photo: path.open("rb"),
        lambda path, photo: Image.open(path),
    ],
    ids=["array", "tensor", "path", "bytes", "file", "PIL image"],
)
def test_bgr_swaps_the_channels_of_arrays_and_tensors_only(small, small_photo, coffee, source):
    predictor = repvit_sam.SamPredictor(small)
    predictor.set_image(source(PHOTOS / "coffee.jpg", coffee), image_format="BGR")
    assert torch.equal(predictor.features, small_photo.features)


def test_a_model_of_segment_anything_is_taken_too(small, small_photo, coffee):
    predictor = repvit_sam.SamPredictor(Sam(small.image_encoder, small.prompt_encoder, small.mask_decoder))
    predictor.set_image(coffee)
    masks, _, _ = predictor.predict(box=CUP, multimask_output=False)
    np.testing.assert_array_equal(masks, small_photo.predict(box=CUP, multimask_output=False)[0])


def test_a_batch_of_boxes_equals_one_by_one(predictor):
    boxes = [[10 + 3 * n, 20 + n, 200 + 5 * n, 250 + n] for n in range(35)]  # more than are decoded at once
    masks, ious, logits = predictor.predict(box=boxes, multimask_output=False)
    assert masks.shape == (35, 1, 400, 600)
    for index in (0, 31, 32, 34):
        mask, iou, low_res = predictor.predict(box=boxes[index], multimask_output=False)
        assert np.count_nonzero(masks[index] != mask) <= 3  # float32 sums in another order
        np.testing.assert_allclose(ious[index], iou, atol=1e-4)
        np.testing.assert_allclose(logits[index], low_res, atol=1e-3)


def test_a_batch_of_point_sets_with_padding_equals_one_by_one(predictor):
    points = [[[300, 200], [0, 0]], [[300, 200], [30, 30]]]
    masks, _, _ = predictor.predict(points, [[1, -1], [1, 0]], multimask_output=False)
    alone, _, _ = predictor.predict(points[1], [1, 0], multimask_output=False)
    assert np.count_nonzero(masks[1] != alone) <= 3


def test_no_boxes_give_no_masks(predictor):
    masks, ious, logits = predictor.predict(box=np.zeros((0, 4)), multimask_output=False)
    assert (masks.shape, ious.shape, logits.shape) == ((0, 1, 400, 600), (0, 1), (0, 1, 256, 256))


def test_batched_says_whether_one_box_keeps_its_axis(predictor):
    assert predictor.predict(box=[CUP])[0].shape == (3, 400, 600)
    assert predictor.predict(box=[CUP], batched=True)[0].shape == (1, 3, 400, 600)


def test_the_mask_of_the_cup_is_the_cup(predictor):
    masks, ious, _ = predictor.predict(box=CUP, multimask_output=False)
    assert masks[0][180, 310]
    assert not masks[0][380, 20]
    assert ious[0] > 0.8


def test_the_small_repvit_finds_the_cup_too(coffee, predictor):
    small = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu"))
    small.set_image(coffee)
    ours, theirs = (p.predict(box=CUP, multimask_output=False)[0] for p in (small, predictor))
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.7


def test_photos_of_a_batch_get_their_own_masks(small, coffee, formula_photo):
    predictor = repvit_sam.SamPredictor(small)
    predictor.set_image_batch([coffee, formula_photo])
    with pytest.raises(PhotoNotSetError, match="several photos are set; call predict_batch"):
        predictor.predict(box=CUP)
    masks, ious, logits = predictor.predict_batch(box_batch=[CUP, [100, 60, 200, 160]], multimask_output=False)
    assert [mask.shape for mask in masks] == [(1, 400, 600), (1, 229, 301)]
    assert len(ious) == len(logits) == 2
    predictor.set_image(formula_photo)
    np.testing.assert_array_equal(masks[1], predictor.predict(box=[100, 60, 200, 160], multimask_output=False)[0])


def test_photos_that_are_encoded_together_are_encoded_as_one_by_one(small, coffee, formula_photo):
    class TwoAtOnce(TorchBackend):  # as on CUDA
        canvases_at_once = 2

    photos = [coffee, formula_photo, np.ascontiguousarray(coffee[:90])]
    together, single = repvit_sam.SamPredictor(TwoAtOnce(small)), repvit_sam.SamPredictor(small)
    together.set_image_batch(photos)
    single.set_image_batch(photos)
    for ours, theirs in zip(together._encoded, single._encoded, strict=True):
        assert ours.fit == theirs.fit
        assert ours.image_embedding.shape == (1, 256, 16, 16)
        np.testing.assert_allclose(ours.image_embedding, theirs.image_embedding, atol=1e-4)


def test_lists_of_the_wrong_length_are_refused(small, formula_photo):
    predictor = repvit_sam.SamPredictor(small)
    with pytest.raises(PhotoNotSetError, match="set_image_batch"):
        predictor.predict_batch(box_batch=[CUP])
    with pytest.raises(PhotoError, match="list"):
        predictor.set_image_batch([])
    with pytest.raises(PhotoError, match="list"):
        predictor.set_image_batch("photo.jpg")
    predictor.set_image_batch([formula_photo])
    with pytest.raises(PromptError, match="one entry for each photo"):
        predictor.predict_batch(box_batch=[CUP, CUP])


def test_an_embedding_comes_back_from_its_file(predictor, model, tmp_path):
    predictor.save_embedding(tmp_path / "coffee.safetensors")
    other = repvit_sam.SamPredictor(model)
    other.load_embedding(tmp_path / "coffee.safetensors")
    assert other.original_size == (400, 600)
    for ours, theirs in zip(other.predict(box=CUP), predictor.predict(box=CUP), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fusing_keeps_the_fingerprint(predictor, unfused, tmp_path):
    predictor.save_embedding(tmp_path / "coffee.safetensors")
    repvit_sam.SamPredictor(unfused).load_embedding(tmp_path / "coffee.safetensors")


def test_an_embedding_of_another_encoder_or_a_damaged_file_is_refused(predictor, unfused, tmp_path):
    path = tmp_path / "coffee.safetensors"
    predictor.save_embedding(path)
    other = repvit_sam.SamPredictor(repvit_sam.build_repvit_sam("repvit_m0_9"))
    with pytest.raises(CheckpointError, match="another image encoder"):
        other.load_embedding(path)
    smaller = repvit_sam.build_repvit_sam("vit_t", canvas=512)
    smaller.load_state_dict(unfused.state_dict())
    with pytest.raises(CheckpointError, match="canvas of 1024, this model's is 512"):
        repvit_sam.SamPredictor(smaller).load_embedding(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        predictor.load_embedding(path)
    with pytest.raises(CheckpointError, match="does not exist"):
        predictor.load_embedding(tmp_path / "none")
    with pytest.raises(CheckpointError, match="no embedding"):
        predictor.load_embedding(find_checkpoint("tinyvit_sam"))


def test_predict_torch_refuses_more_masks_than_prompts(predictor):
    points, labels = torch.full((1, 1, 2), 300.0), torch.ones(1, 1)
    with pytest.raises(PromptError, match="one for each of the 1 prompts, got 2"):
        predictor.predict_torch(points, labels, mask_input=torch.zeros(2, 1, 256, 256))


@pytest.mark.parametrize("ask", ["predict", "get_image_embedding", "predict_torch", "save_embedding"])
def test_asking_before_a_photo_is_set_says_so(model, ask):
    arguments = {"predict_torch": (None, None), "save_embedding": ("x",)}.get(ask, ())
    with pytest.raises(PhotoNotSetError, match="set_image"):
        getattr(repvit_sam.SamPredictor(model), ask)(*arguments)


def test_a_failed_set_image_keeps_the_photo_before(predictor, coffee_encoded):
    with pytest.raises(PhotoError):
        predictor.set_image("none.jpg")
    assert predictor.encoded is coffee_encoded


def test_reset_forgets_the_photo(model, coffee_encoded):
    predictor = repvit_sam.SamPredictor(model)
    predictor.encoded = coffee_encoded
    assert predictor.is_image_set
    predictor.reset_image()
    assert not predictor.is_image_set


def test_wrong_calls_of_the_torch_door_are_refused(predictor):
    with pytest.raises(PhotoError, match="long side of 1024"):
        predictor.set_torch_image(torch.zeros(1, 3, 500, 500), (500, 500))
    with pytest.raises(PromptError, match="point_labels"):
        predictor.predict_torch(torch.zeros(1, 1, 2), None)
    with pytest.raises(PhotoError, match="RGB"):
        predictor.set_image(np.zeros((4, 4, 3), np.uint8), image_format="rgb")


@pytest.mark.parametrize("photo_hw", [(1, 1), (1, 500), (700, 3)])
def test_tiny_and_thin_photos_give_masks_of_their_size(small, photo_hw):
    predictor = repvit_sam.SamPredictor(small)
    predictor.set_image(np.full((*photo_hw, 3), 128, np.uint8))
    masks, _, _ = predictor.predict([[0, 0]], [1])
    assert masks.shape == (3, *photo_hw)


@pytest.mark.parametrize("multimask_output", [False, True])
def test_all_four_masks_are_those_of_two_calls(predictor, multimask_output):
    logits, ious = predictor.predict_all([[300, 200]], [1])
    _, expected_ious, expected = predictor.predict([[300, 200]], [1], multimask_output=multimask_output)
    chosen = mask_slice(multimask_output)
    np.testing.assert_allclose(logits[chosen].numpy(), expected, atol=1e-4, rtol=0)
    np.testing.assert_allclose(ious[chosen].numpy(), expected_ious, atol=1e-6, rtol=0)


def test_all_four_masks_are_for_one_prompt(predictor):
    with pytest.raises(PromptError, match="takes one prompt, got a batch of 2"):
        predictor.predict_all(box=[CUP, CUP])
