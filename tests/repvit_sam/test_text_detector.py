"""Text detectors of transformers with random weights, and with a network put in their place that finds a bright box."""

import dataclasses
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import repvit_sam
from repvit_sam.detections import Detections
from repvit_sam.errors import CheckpointError, FetchError, PromptError, RepVitSamError
from repvit_sam.text_detector import load_text_detector, text_labels

from .tiny_detectors import save_grounding_dino, save_owl

ALL = {"box_threshold": 0.0, "text_threshold": 0.0, "nms_iou": 1.0}


@pytest.fixture(scope="module")
def grounding_dino(grounding_dino_folder):
    return load_text_detector(grounding_dino_folder, device="cpu")


@pytest.fixture(scope="module")
def owlv2(owlv2_folder):
    return load_text_detector(owlv2_folder, device="cpu")


@pytest.fixture(scope="module")
def owlvit(tmp_path_factory):
    return load_text_detector(save_owl(tmp_path_factory.mktemp("owlvit"), "OwlViT"), device="cpu")


@pytest.fixture(scope="module")
def mm_grounding_dino(tmp_path_factory):
    folder = save_grounding_dino(tmp_path_factory.mktemp("mm-grounding-dino"), "MMGroundingDino")
    return load_text_detector(folder, device="cpu")


@pytest.fixture(params=["grounding_dino", "mm_grounding_dino", "owlv2", "owlvit"])
def detector(request):
    return request.getfixturevalue(request.param)


def with_network(detector, answer):
    """The detector with a function in place of its network: inputs -> (token or label logits, boxes cxcywh)."""

    def network(**inputs):
        logits, boxes = answer(inputs)
        return SimpleNamespace(logits=logits[None], pred_boxes=boxes[None], input_ids=inputs["input_ids"])

    network.config = detector.network.config
    return dataclasses.replace(detector, network=network)


def answering(detector, rows, boxes):
    """The detector with fixed outputs: rows of probabilities for tokens or labels, boxes in shares of the input."""
    logits = torch.logit(torch.tensor(rows, dtype=torch.float32).clamp(1e-6, 1 - 1e-6))
    if "dino" in detector.kind:  # the published network pads the tokens to 256
        logits = torch.nn.functional.pad(logits, (0, 256 - logits.shape[1]), value=-torch.inf)
    return with_network(detector, lambda inputs: (logits, torch.tensor(boxes, dtype=torch.float32)))


def bright_box(inputs):
    """The bright part of what the network sees, as a network says it: centre and size in shares of the input."""
    seen = inputs["pixel_values"][0].mean(0)
    rows, columns = torch.where(seen > 0.5 * seen.max())
    y0, x0, y1, x1 = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    height, width = seen.shape
    box = torch.stack([(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height])
    return torch.full((1, inputs["input_ids"].numel()), 3.0), box[None].float()


@pytest.mark.parametrize("photo_hw", [(200, 320), (320, 200), (64, 64)])
def test_a_box_that_the_network_sees_comes_back_in_pixels_of_the_photo(detector, photo_hw):
    photo = np.zeros((*photo_hw, 3), np.uint8)
    x0, y0, x1, y1 = known = np.array([10, 30, 50, 60])
    photo[y0:y1, x0:x1] = 255
    found = with_network(detector, bright_box).detect(photo, "cat")
    pixel = max(photo_hw) / 64  # of the network's input, in those of the photo
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes_xyxy, [known], atol=pixel)


@pytest.mark.parametrize("name", ["grounding_dino", "owlvit"])
def test_boxes_are_shares_of_both_sides_of_the_photo(name, request):
    detector = request.getfixturevalue(name)
    tokens = 3 + ("dino" in detector.kind)  # [CLS] cat . [SEP]
    found = answering(detector, [[0.9] * tokens], [[0.25, 0.5, 0.5, 0.2]])
    box = found.detect(np.zeros((100, 400, 3), np.uint8), ["cat"] if tokens == 4 else ["cat", "cup", "a"])
    np.testing.assert_allclose(box.boxes_xyxy, [[0, 40, 200, 60]], atol=1e-3)


@pytest.mark.parametrize("photo_hw", [(100, 400), (400, 100)])
def test_owlv2_boxes_are_shares_of_the_square_that_the_photo_is_padded_to(owlv2, photo_hw):
    found = answering(owlv2, [[0.9, 0.2]], [[0.1, 0.1, 0.2, 0.1]])
    box = found.detect(np.zeros((*photo_hw, 3), np.uint8), ["cat", "cup"])
    np.testing.assert_allclose(box.boxes_xyxy, [[0, 20, 80, 60]], atol=1e-3)


def test_a_random_network_finds_boxes_within_the_photo_by_falling_score(detector, formula_photo):
    found = detector.detect(formula_photo, "cat. remote control.", **ALL)
    assert isinstance(found, Detections)
    assert len(found) > 1
    assert set(found.labels) <= {"cat", "remote control"}
    assert (np.diff(found.scores) <= 0).all()
    boxes = found.boxes_xyxy
    assert (boxes >= 0).all()
    assert (boxes <= [301, 229, 301, 229]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    again = detector.detect(formula_photo, "cat. remote control.", **ALL)
    np.testing.assert_array_equal(again.boxes_xyxy, boxes)


def test_the_network_reads_the_text(detector, formula_photo):
    first, second = (detector.detect(formula_photo, text, **ALL) for text in ("cat", "remote"))
    assert len(first) != len(second) or not np.array_equal(first.scores, second.scores)


#               [CLS]  cat  .    remote control .   [SEP]
TOKENS = {
    "cat": [0.1, 0.6, 0.1, 0.2, 0.3, 0.1, 0.1],
    "two labels above the text threshold": [0.1, 0.4, 0.1, 0.3, 0.5, 0.1, 0.1],
    "half of a label": [0.1, 0.1, 0.1, 0.1, 0.45, 0.1, 0.1],
    "nothing": [0.1, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1],
    "a separator": [0.1, 0.2, 0.9, 0.2, 0.2, 0.1, 0.8],
}


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        ("cat", ("cat",)),
        ("two labels above the text threshold", ("Remote control",)),
        ("half of a label", ("Remote control",)),
        ("nothing", ()),
        ("a separator", ()),
    ],
)
def test_a_box_of_grounding_dino_has_the_label_with_the_best_token(grounding_dino, formula_photo, row, labels):
    found = answering(grounding_dino, [TOKENS[row]], [[0.5, 0.5, 0.2, 0.2]]).detect(
        formula_photo, "cat. Remote  control"
    )
    assert found.labels == labels
    np.testing.assert_allclose(found.scores, [max(TOKENS[row])] * len(labels), atol=1e-6)
    np.testing.assert_array_equal(found.category_ids, [1 + ("cat" not in labels)] * len(labels))


def test_thresholds_are_the_callers(grounding_dino, owlv2, formula_photo):
    boxes = [[0.2, 0.2, 0.1, 0.1], [0.5, 0.5, 0.2, 0.2], [0.8, 0.8, 0.1, 0.1]]
    dino = answering(grounding_dino, [[0.1, score, 0.1, 0.1] for score in (0.3, 0.5, 0.2)], boxes)
    owl = answering(owlv2, [[score, 0.01] for score in (0.3, 0.5, 0.05)], boxes)
    assert len(dino.detect(formula_photo, "cat")) == 1
    assert len(dino.detect(formula_photo, "cat", 0.25, 0.25)) == 2
    assert len(dino.detect(formula_photo, "cat", 0.1, 0.4)) == 1
    assert len(owl.detect(formula_photo, "cat. cup")) == 2
    assert len(owl.detect(formula_photo, "cat. cup", 0.4)) == 1
    for threshold in (-0.1, 1.5):
        with pytest.raises(ValueError, match=r"box_threshold must be within 0..1"):
            owl.detect(formula_photo, "cat", threshold)


def test_of_boxes_that_overlap_the_better_of_each_label_stays(owlv2, formula_photo):
    same = [0.4, 0.4, 0.2, 0.2]
    boxes = [same, [0.41, 0.4, 0.2, 0.2], same, [0.8, 0.4, 0.2, 0.2]]
    rows = [[0.6, 0.1], [0.9, 0.1], [0.1, 0.7], [0.5, 0.1]]
    found = answering(owlv2, rows, boxes).detect(formula_photo, "cat. cup.")
    assert found.labels == ("cat", "cup", "cat")
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.5], atol=1e-6)
    assert len(answering(owlv2, rows, boxes).detect(formula_photo, "cat. cup.", nms_iou=1.0)) == 4
    assert len(answering(owlv2, rows, boxes).detect(formula_photo, "cat. cup.", max_boxes=2)) == 2


def test_boxes_are_cut_at_the_photo_and_what_is_outside_is_dropped(owlv2):
    boxes = [[0.0, 0.1, 0.5, 0.1], [0.5, 0.9, 0.1, 0.1]]  # over the left edge; in the padding under the photo
    found = answering(owlv2, [[0.9], [0.8]], boxes).detect(np.zeros((200, 400, 3), np.uint8), "cat")
    np.testing.assert_allclose(found.boxes_xyxy, [[0, 20, 100, 60]], atol=1e-3)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("cat. remote control.", ("cat", "remote control")),
        ("cat, dog; Cup\ntable", ("cat", "dog", "Cup", "table")),
        ("a  cat..  A Cat .", ("a cat",)),
        (["cat", "cup, with coffee"], ("cat", "cup, with coffee")),
        (("Cat",), ("Cat",)),
    ],
)
def test_labels_are_separated_by_stops_commas_semicolons_and_lines(text, labels):
    assert text_labels(text) == labels


@pytest.mark.parametrize("text", ["", " . ,", [], [" "], ["a. b"], [1]])
def test_a_text_without_a_label_is_refused(text):
    with pytest.raises(PromptError, match=r"nothing to look for: expected 'cat|without a full stop"):
        text_labels(text)


def test_more_text_than_the_detector_reads_is_refused(grounding_dino, owlv2, formula_photo):
    many = [f"{'a ' * n}cat" for n in range(25)]
    with pytest.raises(PromptError, match=r"the text has \d+ tokens, .* reads 256; give fewer labels"):
        grounding_dino.detect(formula_photo, many)
    with pytest.raises(PromptError, match=r"has \d+ tokens, .* reads 16; give a shorter label"):
        owlv2.detect(formula_photo, ["cat", "a control of a remote cup"])


def test_a_label_that_the_vocabulary_has_nothing_for_is_refused(grounding_dino, formula_photo):
    with pytest.raises(PromptError, match="no token for the label"):
        grounding_dino.detect(formula_photo, ["cat", "\x00"])


def test_predict_text_gives_a_mask_for_each_box(predictor, owlv2, coffee):
    cup, spoon = [170, 12, 425, 282], [395, 95, 575, 145]
    shares = [[(x0 + x1) / 1200, (y0 + y1) / 1200, (x1 - x0) / 600, (y1 - y0) / 600] for x0, y0, x1, y1 in (spoon, cup)]
    found = predictor.predict_text("cup. spoon.", answering(owlv2, [[0.1, 0.6], [0.8, 0.1]], shares))
    masks, ious, _ = predictor.predict(box=found.boxes_xyxy, multimask_output=False)
    assert found.labels == ("cup", "spoon")
    np.testing.assert_allclose(found.boxes_xyxy, [cup, spoon], atol=0.01)
    np.testing.assert_array_equal(found.masks, masks[:, 0])
    np.testing.assert_array_equal(found.iou_predictions, ious[:, 0])
    assert found.masks.shape == (2, 400, 600)


def test_predict_text_may_find_nothing_or_one(predictor, owlv2):
    box = [[0.5, 0.3, 0.4, 0.4]]
    assert predictor.predict_text("cup", answering(owlv2, [[0.05]], box)).masks.shape == (0, 400, 600)
    assert predictor.predict_text("cup", answering(owlv2, [[0.05]], box), 0.01).masks.shape == (1, 400, 600)


def test_predict_text_needs_the_photo_itself(predictor, owlv2):
    predictor.encoded = dataclasses.replace(predictor.encoded, photo=None)
    with pytest.raises(repvit_sam.PhotoNotSetError, match=r"call set_image\(photo\) for predict_text"):
        predictor.predict_text("cup", owlv2)


def edited(folder, tmp_path, edit):
    copy = tmp_path / "detector"
    shutil.copytree(folder, copy)
    edit(copy)
    return copy


def write_config(folder, content):
    (folder / "config.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "holds no text detector that can be loaded"),
        (lambda folder: (folder / "config.json").write_text("{"), "holds no text detector that can be loaded"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no text detector that can be loaded"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99), "holds no text detector"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "holds no text detector"),
        (lambda folder: write_config(folder, {"model_type": "bert"}), "is a model of type bert, expected grounding-d"),
        (lambda folder: write_config(folder, {"model_type": "omdet-turbo"}), "is a model of type omdet-turbo"),
        (lambda folder: write_config(folder, {}), "holds no text detector that can be loaded"),
    ],
)
def test_a_folder_that_is_no_text_detector_is_named(owlv2_folder, tmp_path, edit, words):
    folder = edited(owlv2_folder, tmp_path, edit)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_text_detector(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_missing_are_said(owlv2_folder, tmp_path, caplog):
    from safetensors.torch import load_file, save_file

    def drop_one(folder):
        weights = load_file(folder / "model.safetensors")
        del weights["class_head.dense0.bias"]
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    load_text_detector(edited(owlv2_folder, tmp_path, drop_one), device="cpu")
    assert "lacks 1 of its weights, class_head.dense0.bias first; they are random" in caplog.text


@pytest.mark.parametrize("name", ["no_folder", "a/b/c", "./detector", "grounding-dino-huge"])
def test_what_is_neither_a_folder_nor_a_name_is_refused_without_asking_the_network(name):
    with pytest.raises(CheckpointError, match="is neither a folder nor a detector's name; known names: grounding"):
        load_text_detector(name)


def test_a_device_that_is_not_there_is_refused_first():
    with pytest.raises(ValueError, match="not available here"):
        load_text_detector("no_folder", device="quantum")


@pytest.mark.parametrize("name", ["grounding-dino-tiny", "somebody/detector"])
def test_a_name_that_cannot_be_fetched_is_said_with_what_to_do(name, monkeypatch, tmp_path):
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FetchError, match=r"cannot be had from huggingface.co .*give a folder") as caught:
        load_text_detector(name, device="cpu")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_transformers_the_error_says_what_to_install(monkeypatch, owlv2_folder):
    monkeypatch.setitem(sys.modules, "transformers.utils", None)
    with pytest.raises(RepVitSamError, match=r"pip install 'repvit-sam\[text\]'"):
        load_text_detector(owlv2_folder)


def test_loading_prints_nothing_and_leaves_the_settings_of_transformers(owlv2_folder, capfd):
    from transformers.utils import logging as settings

    before = settings.get_verbosity(), settings.is_progress_bar_enabled()
    load_text_detector(owlv2_folder, device="cpu")
    assert (settings.get_verbosity(), settings.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def test_the_module_is_imported_without_torch_and_transformers():
    code = "import sys, repvit_sam.text_detector; sys.exit(not {'torch', 'transformers'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
