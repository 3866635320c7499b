"""Prompts and files of detections as strangers write them."""

import json
from pathlib import Path

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from repvit_sam.canvas import fit_photo
from repvit_sam.detection_files import read_detections
from repvit_sam.embedding import load_embedding
from repvit_sam.errors import CheckpointError, PromptError
from repvit_sam.prompts import check_prompts

from ..hostile import STRANGE, answer, nearly, nearly_bytes

FIT = fit_photo((300, 400), 256)
GIVEN = {
    "point_coords": [[30, 40], [50.5, 60]],
    "point_labels": [1, 0],
    "box": [1, 2, 30, 40],
    "mask_input": np.zeros((1, 2, 2)).tolist(),
}
RESULTS = [
    {"image_id": 1, "category_id": 3, "bbox": [1, 2, 30, 40], "score": 0.5},
    {"image_id": 2, "category_id": 4, "bbox": [1.5, 2, 3, 4], "score": 1},
]
COCO = {
    "images": [
        {"id": 1, "file_name": "a.jpg", "height": 300, "width": 400},
        {"id": 2, "coco_url": "http://x/val/b.jpg", "file_name": None},
    ],
    "annotations": [{"id": 1, **RESULTS[0], "iscrowd": 0}],
    "categories": [{"id": 3, "name": "cup"}],
}


@given(nearly(GIVEN), st.sampled_from(["list", "array"]), st.none() | st.booleans())
@example({**GIVEN, "point_coords": [[10**400, 1]]}, "list", None)
def test_any_prompts_are_checked_or_refused_in_one_sentence(given_, form, batched):
    values = [given_.get(key) for key in GIVEN] if isinstance(given_, dict) else [given_, [1], None, None]
    if form == "array":
        try:
            values = [None if value is None else np.array(value) for value in values]
        except ValueError:  # lists of unequal lengths
            return
    prompts = answer(check_prompts, *values, FIT, batched, errors=PromptError)
    if prompts is not None and prompts.boxes is not None:
        assert np.isfinite(prompts.on_canvas(FIT).boxes).all()


def detections_of(folder, results, annotations):
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "annotations.json").write_text(json.dumps(annotations))
    found = read_detections(folder / "results.json", folder / "annotations.json")
    for each in found.for_photos([Path("a.jpg"), Path("val/b.jpg")]).values():
        each.on_photo((300, 400))


@given(nearly(RESULTS), nearly(COCO))
@example([{**RESULTS[0], "category_id": "9" * 1000}], COCO)
@example([{**RESULTS[0], "image_id": "9" * 1000}], COCO)
@example(RESULTS, {**COCO, "images": [{**COCO["images"][0], "height": "9" * 1000}]})
def test_any_results_list_is_read_or_refused_in_one_sentence(tmp_path_factory, results, annotations):
    answer(detections_of, tmp_path_factory.getbasetemp(), results, annotations, errors=PromptError)


@given(nearly(COCO) | STRANGE)
@example({**COCO, "images": [{"id": [1], "file_name": "a.jpg"}]})
@example({**COCO, "images": [{"id": 1, "file_name": 5}]})
@example({**COCO, "images": [{"id": 1, "file_name": "a.jpg", "height": float("inf"), "width": 1}]})
@example({**COCO, "categories": [{"id": {}, "name": "cup"}]})
def test_any_coco_file_of_detections_is_read_or_refused_in_one_sentence(tmp_path_factory, content):
    answer(detections_of, tmp_path_factory.getbasetemp(), content, COCO, errors=PromptError)


def test_any_embedding_file_is_read_or_refused_in_one_sentence(tmp_path, model):
    import repvit_sam

    predictor = repvit_sam.SamPredictor(model)
    predictor.encoded = repvit_sam.EncodedPhoto(np.zeros((1, 1, 16, 16), np.float32), FIT)
    path = tmp_path / "embedding.safetensors"
    predictor.save_embedding(path)
    saved = path.read_bytes()

    @given(nearly_bytes(saved[:600]))
    def check(start):
        path.write_bytes(start + saved[600:])
        answer(load_embedding, path, "a", 256, errors=CheckpointError)

    check()
