import numpy as np
import pytest
from segment_anything import SamAutomaticMaskGenerator as ReferenceGenerator
from segment_anything.modeling import Sam
from segment_anything.utils.amg import build_point_grid

import repvit_sam
from repvit_sam.backends import as_backend
from repvit_sam.mask_generator import point_grid
from repvit_sam.rle import decode_rle

LOOSE = {"pred_iou_thresh": 0.6, "stability_score_thresh": 0.7}


@pytest.fixture(scope="module")
def reference_model(small):
    return Sam(small.image_encoder, small.prompt_encoder, small.mask_decoder)


def mask_of(segmentation):
    """The mask of a record, whatever its ``output_mode``."""
    if not isinstance(segmentation, dict):
        return segmentation
    if isinstance(segmentation["counts"], str):
        return decode_rle(segmentation)
    runs = np.array(segmentation["counts"])
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(segmentation["size"], order="F")


def iou(record, other):
    a, b = record["segmentation"], other["segmentation"]
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize(
    "settings",
    [
        {"points_per_side": 6, **LOOSE},
        {"points_per_side": 4, "output_mode": "uncompressed_rle", "points_per_batch": 5, **LOOSE},
        {
            "points_per_side": 4,
            "crop_n_layers": 1,
            "crop_n_points_downscale_factor": 2,
            "min_mask_region_area": 200,
            "output_mode": "coco_rle",
            **LOOSE,
        },
    ],
    ids=["plain", "small batches", "crops and specks"],
)
def test_records_equal_segment_anything(small, reference_model, coffee, settings):
    expected = ReferenceGenerator(reference_model, **settings).generate(coffee)
    found = repvit_sam.SamAutomaticMaskGenerator(small, mode="exact", **settings).generate(coffee)
    assert len(found) == len(expected) > 1
    for ours, theirs in zip(found, expected, strict=True):
        assert list(ours) == list(theirs)
        mask, reference = (mask_of(record.pop("segmentation")) for record in (ours, theirs))
        # fast_decoder.py: logits to 5e-4, so a pixel at the threshold may fall on the other side
        assert np.count_nonzero(mask != reference) <= max(2, reference.sum() * 1e-4)
        assert ours.pop("bbox") == pytest.approx(theirs.pop("bbox"), abs=1)
        assert ours.pop("area") == pytest.approx(theirs.pop("area"), rel=1e-4, abs=2)
        assert ours.pop("predicted_iou") == pytest.approx(theirs.pop("predicted_iou"), abs=1e-5)
        assert ours.pop("stability_score") == pytest.approx(theirs.pop("stability_score"), abs=1e-4)
        assert ours == theirs


def test_fast_mode_finds_nearly_the_same_masks_with_fewer_points(small, coffee, monkeypatch):
    decoded = []
    backend = as_backend(small)
    generators = {
        mode: repvit_sam.SamAutomaticMaskGenerator(backend, points_per_side=16, mode=mode, **LOOSE)
        for mode in ("exact", "fast")
    }
    decode = backend.decode_confident

    def counting(embedding, prompts, *rest):
        decoded.append(len(prompts.point_coords))
        return decode(embedding, prompts, *rest)

    monkeypatch.setattr(backend, "decode_confident", counting)
    exact = generators["exact"].generate(coffee)
    assert sum(decoded) == 256
    decoded.clear()
    seen = []
    fast = generators["fast"].generate(coffee, lambda done, total: seen.append((done, total)))
    assert sum(decoded) == 64
    assert seen[-1] == (64, 64)
    found = [max(iou(record, other) for other in exact) for record in fast]
    assert np.median(found) > 0.99  # most are the same masks
    assert np.mean(found) > 0.8


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_own_points_may_be_none_on_the_photo_and_some_on_its_crops(small, coffee, mode):
    grids = [np.zeros((0, 2)), np.array([[0.5, 0.5]])]
    generator = repvit_sam.SamAutomaticMaskGenerator(
        small, points_per_side=None, point_grids=grids, crop_n_layers=1, mode=mode, **LOOSE
    )
    seen = []
    records = generator.generate(coffee, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4, 4)
    assert all(record["crop_box"] != [0, 0, 599, 399] for record in records)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_no_mask_of_a_tiny_photo_is_empty(small, coffee, mode):
    tiny = np.ascontiguousarray(coffee[100:140, 200:260])
    generator = repvit_sam.SamAutomaticMaskGenerator(
        small, points_per_side=6, pred_iou_thresh=0.3, stability_score_thresh=0.3, mode=mode
    )
    records = generator.generate(tiny)
    assert records
    assert all(record["area"] > 0 for record in records)


def test_the_grid_equals_segment_anything():
    for side in (1, 5, 32):
        np.testing.assert_allclose(point_grid(side), build_point_grid(side), atol=1e-12)


def test_progress_counts_every_point_and_may_stop_the_work(small, coffee):
    seen = []
    generator = repvit_sam.SamAutomaticMaskGenerator(small, points_per_side=2, points_per_batch=3, mode="exact")
    generator.generate(coffee, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 4), (4, 4)]

    def cancel(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.generate(coffee, progress=cancel)


def test_a_photo_without_stable_masks_gives_an_empty_list(small, coffee):
    generator = repvit_sam.SamAutomaticMaskGenerator(small, points_per_side=1, pred_iou_thresh=1.5)
    assert generator.generate(coffee) == []


def test_a_photo_of_a_few_pixels_has_fewer_crops(small):
    generator = repvit_sam.SamAutomaticMaskGenerator(small, points_per_side=1, crop_n_layers=1, pred_iou_thresh=1.5)
    assert generator.generate(np.zeros((1, 1, 3), np.uint8)) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"points_per_side": None}, "exactly one"),
        ({"point_grids": [np.zeros((1, 2))]}, "exactly one"),
        ({"points_per_side": 0}, "at least 1"),
        ({"points_per_batch": 0}, "at least 1"),
        ({"output_mode": "png"}, "binary_mask"),
        ({"mode": "slow"}, "mode must be one of fast, exact, got 'slow'"),
        ({"crop_n_layers": -1}, "crop_n_layers must be at least 0"),
        (
            {"points_per_side": 4, "crop_n_layers": 3, "crop_n_points_downscale_factor": 2},
            "points_per_side must be at least crop_n_points_downscale_factor [*]{2} crop_n_layers, 8, .* got 4",
        ),
        ({"points_per_side": None, "point_grids": [np.zeros((1, 2))], "crop_n_layers": 1}, "each crop layer, 2, got 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(small, settings, words):
    with pytest.raises(ValueError, match=words):
        repvit_sam.SamAutomaticMaskGenerator(small, **settings)
