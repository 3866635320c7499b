"""Code written for segment_anything, with only the import line, the model's key and the checkpoint changed.

The calls are those of the notebooks predictor_example, automatic_mask_generator_example and onnx_model_example and of
scripts/amg.py in facebookresearch/segment-anything (commit dca509f), and of grounded_sam_demo.py in
IDEA-Research/Grounded-Segment-Anything (Apache-2.0, both), on our photograph. ``canvas=512`` is for the tests' time.
"""

import inspect
import json

import cv2
import numpy as np
import pytest
import segment_anything
import torch
from pycocotools import mask as coco_masks
from segment_anything.utils.onnx import SamOnnxModel
from segment_anything.utils.transforms import ResizeLongestSide

from repvit_sam import SamAutomaticMaskGenerator, SamPredictor, sam_model_registry

from ..conftest import PHOTOS

CUP, SPOON = [170, 12, 425, 282], [395, 95, 575, 145]


@pytest.fixture(scope="module")
def sam():
    sam = sam_model_registry["repvit_m0_9"](checkpoint="small", canvas=512)
    sam.to(device="cpu")
    return sam


@pytest.fixture(scope="module")
def image():
    return cv2.cvtColor(cv2.imread(str(PHOTOS / "coffee.jpg")), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def predictor(sam, image):
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    return predictor


@pytest.fixture(scope="module")
def theirs(sam, image):
    """segment_anything's own predictor on the same model."""
    predictor = segment_anything.SamPredictor(sam)
    predictor.set_image(image)
    return predictor


def point_then_correction(predictor):
    input_point = np.array([[300, 200]])
    input_label = np.array([1])
    masks, scores, logits = predictor.predict(point_coords=input_point, point_labels=input_label, multimask_output=True)
    input_point = np.array([[300, 200], [420, 230]])
    input_label = np.array([1, 0])
    mask_input = logits[np.argmax(scores), :, :]
    corrected, _, _ = predictor.predict(
        point_coords=input_point, point_labels=input_label, mask_input=mask_input[None, :, :], multimask_output=False
    )
    return masks, corrected


def box_alone_and_with_a_point(predictor):
    input_box = np.array(CUP)
    alone, _, _ = predictor.predict(
        point_coords=None, point_labels=None, box=input_box[None, :], multimask_output=False
    )
    with_point, _, _ = predictor.predict(
        point_coords=np.array([[300, 130]]), point_labels=np.array([0]), box=input_box, multimask_output=False
    )
    return alone, with_point


@pytest.mark.parametrize("cell", [point_then_correction, box_alone_and_with_a_point])
def test_the_predictor_notebook_gives_segment_anythings_masks(predictor, theirs, cell):
    for ours, expected in zip(cell(predictor), cell(theirs), strict=True):
        assert (ours.shape, ours.dtype) == (expected.shape, expected.dtype)
        assert expected.any()
        assert np.count_nonzero(ours != expected) <= 3


def test_the_notebooks_boxes_as_tensors_give_segment_anythings_masks(predictor, theirs, image):
    def cell(predictor):
        input_boxes = torch.tensor([CUP, SPOON], device=predictor.device)
        transformed_boxes = predictor.transform.apply_boxes_torch(input_boxes, image.shape[:2])
        masks, _, _ = predictor.predict_torch(
            point_coords=None, point_labels=None, boxes=transformed_boxes, multimask_output=False
        )
        return masks

    ours, expected = cell(predictor), cell(theirs)
    assert ours.shape == (2, 1, *image.shape[:2])
    assert (ours != expected).sum() <= 3


def test_the_notebooks_batch_of_images_goes_through_the_model(sam, predictor, image):
    resize_transform = ResizeLongestSide(sam.image_encoder.img_size)

    def prepare_image(image, transform, device):
        image = transform.apply_image(image)
        image = torch.as_tensor(image, device=device.device)
        return image.permute(2, 0, 1).contiguous()

    boxes = torch.tensor([CUP, SPOON], device=sam.device)
    batched_input = [
        {
            "image": prepare_image(one, resize_transform, sam),
            "boxes": resize_transform.apply_boxes_torch(boxes, one.shape[:2]),
            "original_size": one.shape[:2],
        }
        for one in (image, image[:, ::-1].copy())
    ]
    batched_output = sam(batched_input, multimask_output=False)
    assert batched_output[0].keys() == {"masks", "iou_predictions", "low_res_logits"}
    expected, _, _ = predictor.predict(box=np.array([CUP, SPOON]), multimask_output=False)
    assert np.count_nonzero(batched_output[0]["masks"].numpy() != expected) <= 10  # another encoding: two at once


def test_the_mask_generator_notebook_runs(sam, image):
    """Default arguments, then all those that the notebook sets; a coarser grid than its 32, for the test's time."""
    mask_generator = SamAutomaticMaskGenerator(sam, points_per_side=4)
    masks = mask_generator.generate(image)
    assert masks[0].keys() >= {"segmentation", "area", "bbox", "predicted_iou", "point_coords", "stability_score"}
    mask_generator_2 = SamAutomaticMaskGenerator(
        model=sam,
        points_per_side=8,
        pred_iou_thresh=0.86,
        stability_score_thresh=0.92,
        crop_n_layers=1,
        crop_n_points_downscale_factor=2,
        min_mask_region_area=100,  # Requires open-cv to run post-processing
    )
    masks2 = mask_generator_2.generate(image)
    sorted_anns = sorted(masks2, key=(lambda x: x["area"]), reverse=True)
    assert len({tuple(one["crop_box"]) for one in sorted_anns}) > 1, "the crops gave masks as well"


def write_masks_to_folder(masks, path):
    metadata = []
    for i, mask_data in enumerate(masks):
        cv2.imwrite(str(path / f"{i}.png"), mask_data["segmentation"] * 255)
        metadata.append(
            [
                str(i),
                str(mask_data["area"]),
                *[str(x) for x in mask_data["bbox"]],
                *[str(x) for x in mask_data["point_coords"][0]],
                str(mask_data["predicted_iou"]),
                str(mask_data["stability_score"]),
                *[str(x) for x in mask_data["crop_box"]],
            ]
        )
    return metadata


def test_the_amg_script_writes_both_of_its_forms(sam, image, tmp_path):
    """scripts/amg.py as a program was run by hand; here are its calls."""
    amg_kwargs = {"points_per_side": 4, "points_per_batch": 16, "box_nms_thresh": 0.7}
    masks = SamAutomaticMaskGenerator(sam, output_mode="binary_mask", **amg_kwargs).generate(image)
    rows = write_masks_to_folder(masks, tmp_path)
    assert masks
    assert [len(row) for row in rows] == [14] * len(masks)
    masks_in_rle = SamAutomaticMaskGenerator(sam, output_mode="coco_rle", **amg_kwargs).generate(image)
    read_back = json.loads(json.dumps(masks_in_rle))
    for number, (mask, record) in enumerate(zip(masks, read_back, strict=True)):
        decoded = coco_masks.decode(record["segmentation"]).astype(bool)
        np.testing.assert_array_equal(decoded, mask["segmentation"])
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / f"{number}.png"), cv2.IMREAD_GRAYSCALE) > 0, decoded)


@pytest.mark.filterwarnings("ignore")  # of torch's older exporter, and of segment_anything's code in it
def test_the_onnx_notebook_exports_and_runs(sam, predictor, image, tmp_path):
    """segment_anything's own ONNX decoder around our model, by the exporter that torch had when it was written."""
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx_model = SamOnnxModel(sam, return_single_mask=True)
    embed_dim = sam.prompt_encoder.embed_dim
    embed_size = sam.prompt_encoder.image_embedding_size
    mask_input_size = [4 * x for x in embed_size]
    dummy_inputs = {
        "image_embeddings": torch.randn(1, embed_dim, *embed_size, dtype=torch.float),
        "point_coords": torch.randint(low=0, high=512, size=(1, 5, 2), dtype=torch.float),
        "point_labels": torch.randint(low=0, high=4, size=(1, 5), dtype=torch.float),
        "mask_input": torch.randn(1, 1, *mask_input_size, dtype=torch.float),
        "has_mask_input": torch.tensor([1], dtype=torch.float),
        "orig_im_size": torch.tensor(image.shape[:2], dtype=torch.float),
    }
    older = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(
        onnx_model,
        tuple(dummy_inputs.values()),
        str(tmp_path / "sam.onnx"),
        opset_version=17,
        input_names=list(dummy_inputs.keys()),
        output_names=["masks", "iou_predictions", "low_res_masks"],
        dynamic_axes={"point_coords": {1: "num_points"}, "point_labels": {1: "num_points"}},
        **older,
    )
    ort_session = onnxruntime.InferenceSession(str(tmp_path / "sam.onnx"))
    onnx_coord = np.concatenate([np.array([[300, 200]]), np.array([[0.0, 0.0]])], axis=0)[None, :, :]
    onnx_label = np.concatenate([np.array([1]), np.array([-1])], axis=0)[None, :].astype(np.float32)
    onnx_coord = predictor.transform.apply_coords(onnx_coord, image.shape[:2]).astype(np.float32)
    ort_inputs = {
        "image_embeddings": predictor.get_image_embedding().cpu().numpy(),
        "point_coords": onnx_coord,
        "point_labels": onnx_label,
        "mask_input": np.zeros((1, 1, *mask_input_size), dtype=np.float32),
        "has_mask_input": np.zeros(1, dtype=np.float32),
        "orig_im_size": np.array(image.shape[:2], dtype=np.float32),
    }
    masks, _, _ = ort_session.run(None, ort_inputs)
    masks = masks > predictor.model.mask_threshold
    expected, scores, _ = predictor.predict(point_coords=[[300, 200]], point_labels=[1])
    assert np.count_nonzero(masks[0, 0] != expected[scores.argmax()]) <= 3


def test_grounded_segment_anythings_snippet_takes_a_detectors_boxes(sam, image):
    """Boxes come as GroundingDINO gives them: centre and size as shares of the photo."""
    predictor = SamPredictor(sam.to("cpu"))
    predictor.set_image(image)
    H, W = image.shape[:2]
    x0, y0, x1, y1 = torch.tensor([CUP, SPOON], dtype=torch.float).unbind(1)
    boxes_filt = torch.stack([(x0 + x1) / 2 / W, (y0 + y1) / 2 / H, (x1 - x0) / W, (y1 - y0) / H], dim=1)
    for i in range(boxes_filt.size(0)):
        boxes_filt[i] = boxes_filt[i] * torch.Tensor([W, H, W, H])
        boxes_filt[i][:2] -= boxes_filt[i][2:] / 2
        boxes_filt[i][2:] += boxes_filt[i][:2]
    transformed_boxes = predictor.transform.apply_boxes_torch(boxes_filt, image.shape[:2]).to("cpu")
    masks, _, _ = predictor.predict_torch(
        point_coords=None, point_labels=None, boxes=transformed_boxes.to("cpu"), multimask_output=False
    )
    mask_img = torch.zeros(masks.shape[-2:])
    for idx, mask in enumerate(masks):
        mask_img[mask.cpu().numpy()[0] == True] = idx + 1  # noqa: E712
    expected, _, _ = predictor.predict(box=np.array([CUP, SPOON]), multimask_output=False)
    assert np.count_nonzero(masks.numpy() != expected) <= 3
    assert set(mask_img.unique().tolist()) == {0, 1, 2}
