"""Results are filtered, joined, converted and looked at."""

import json
import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from repvit_sam.annotate import preview
from repvit_sam.annotate.forms.choice import find_form
from repvit_sam.annotate.image_masks import ImageMasks, MaskRecord
from repvit_sam.annotate.preview import write_preview
from repvit_sam.annotate.results import open_results
from repvit_sam.annotate.sources.files import ImageReader
from repvit_sam.annotate.tools import MaskFilter, convert_results, filter_results, merge_results
from repvit_sam.rle import encode_rle

from .conftest import files_of, run, save_photo


def masks_of(folder):
    return {image.name: image.masks for image in open_results(folder).read()}


@pytest.mark.parametrize("form", ["parquet", "sa1b"])
def test_a_round_trip_through_another_form_gives_the_same_bytes(finished, tmp_path, form):
    convert_results(finished, tmp_path / "there", form)
    convert_results(tmp_path / "there", tmp_path / "back", "coco")
    assert files_of(tmp_path / "back")["annotations.json"] == files_of(finished)["annotations.json"]


def test_label_maps_keep_what_is_seen_of_every_mask(finished, tmp_path):
    convert_results(finished, tmp_path / "maps", "png")
    for name, seen in masks_of(tmp_path / "maps").items():
        before = masks_of(finished)[name]
        assert 0 < len(seen) <= len(before)
        assert sum(mask.area for mask in seen) <= 60 * 90


@pytest.mark.parametrize(
    ("limits", "keeps"),
    [
        ({"min_area": 200}, lambda mask: mask.area >= 200),
        ({"max_area": 200}, lambda mask: mask.area <= 200),
        ({"min_predicted_iou": 0.7}, lambda mask: mask.predicted_iou >= 0.7),
        ({"min_stability": 0.8}, lambda mask: mask.stability >= 0.8),
        ({"min_score": 0.8}, lambda mask: True),  # everything mode has no scores
    ],
)
def test_masks_within_the_limits_are_kept_and_images_stay(finished, tmp_path, limits, keeps):
    kept = filter_results(finished, tmp_path / "kept", MaskFilter(**limits))
    before, after = masks_of(finished), masks_of(tmp_path / "kept")
    assert after == {name: tuple(filter(keeps, masks)) for name, masks in before.items()}
    assert (kept.images, kept.masks) == (3, sum(map(len, after.values())))


def test_the_best_rated_masks_of_an_image_are_kept_in_their_order(finished, tmp_path):
    filter_results(finished, tmp_path / "kept", MaskFilter(most=2))
    for name, masks in masks_of(tmp_path / "kept").items():
        ratings = sorted((mask.predicted_iou for mask in masks_of(finished)[name]), reverse=True)
        assert sorted((mask.predicted_iou for mask in masks), reverse=True) == ratings[:2]


def test_merged_images_are_numbered_anew_and_named_after_their_folder(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "other")
    with pytest.raises(ValueError, match=r"astronaut.jpg is in two of the folders; --prefix names"):
        merge_results([finished, tmp_path / "other"], tmp_path / "both")
    assert not (tmp_path / "both").exists()
    merged = merge_results([finished, tmp_path / "other"], tmp_path / "both", prefix=True)
    images = list(open_results(tmp_path / "both").read())
    assert [image.image_id for image in images] == [1, 2, 3, 4, 5, 6]
    assert [image.name for image in images[2:4]] == ["out/rocket.jpg", "other/astronaut.jpg"]
    assert merged.masks == 2 * open_results(finished).masks
    assert write_preview(tmp_path / "both", tmp_path / "sheet.jpg", 6).is_file()


def test_a_category_with_two_names_is_refused(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "other")
    described = (tmp_path / "other" / "dataset.json").read_text().replace('"object"', '"thing"')
    (tmp_path / "other" / "dataset.json").write_text(described)
    with pytest.raises(ValueError, match="category 1 is object in one folder and thing in"):
        merge_results([finished, tmp_path / "other"], tmp_path / "both", prefix=True)


def test_a_sheet_shows_photographs_with_masks(finished, tmp_path):
    sheet = np.asarray(Image.open(write_preview(finished, tmp_path / "sheet.png", 2)))
    assert sheet.shape == (504, 976, 3)
    assert len(np.unique(sheet[180:480].reshape(-1, 3), axis=0)) > 1000


def test_a_sheet_of_photographs_that_are_gone_says_so(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "alone", ignore=shutil.ignore_patterns("manifest"))
    with pytest.raises(ValueError, match=r"none of the photographs of .* can be shown: where its images lie"):
        write_preview(tmp_path / "alone", tmp_path / "sheet.jpg", 2)


def test_only_finished_results_are_opened_and_only_new_folders_written(finished, tmp_path):
    with pytest.raises(ValueError, match="holds no results of repvit-sam annotate"):
        convert_results(tmp_path, tmp_path / "out", "png")
    (tmp_path / "begun" / "manifest").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds a run that has not ended"):
        convert_results(tmp_path / "begun", tmp_path / "out", "png")
    with pytest.raises(ValueError, match="is not empty; give a new folder"):
        convert_results(finished, tmp_path, "png")


def write_results(folder, *images):
    """A COCO folder of (file_name, stem) with one mask each, as a stranger could write it."""
    folder.mkdir()
    size = {"width": 4, "height": 3}
    lines = [{"id": n, "file_name": name, **size, "stem": stem} for n, (name, stem) in enumerate(images, 1)]
    mask = {"segmentation": encode_rle(np.eye(3, 4, dtype=bool)), "area": 3, "bbox": [0, 0, 3, 3]}
    rows = [{"id": n, "image_id": n, "category_id": 1, "predicted_iou": 0.9, **mask} for n in range(1, len(images) + 1)]
    lists = {"images": lines, "annotations": rows, "categories": []}
    content = ",\n".join(f'"{key}":[\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for key, rows in lists.items())
    (folder / "annotations.json").write_text("{" + content + "}\n")
    facts = {"format": "coco", "images": len(images), "masks": len(images), "categories": [{"id": 1, "name": "object"}]}
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


@pytest.mark.parametrize("form", ["coco", "parquet", "png", "sa1b"])
@pytest.mark.parametrize("stem", ["../../ESCAPED", "/tmp/ESCAPED", "a/../../ESCAPED", "..\\ESCAPED", ""])
def test_a_stem_that_leads_out_of_the_folder_is_refused(tmp_path, form, stem):
    write_results(tmp_path / "theirs", ("x.jpg", stem))
    with pytest.raises(ValueError, match=r"x.jpg cannot be written with the stem .*: its name leads out of the folder"):
        convert_results(tmp_path / "theirs", tmp_path / "deep" / "out", form)
    assert not list(tmp_path.rglob("ESCAPED*"))
    assert not (tmp_path / "deep" / "out").exists()


@pytest.mark.parametrize("stem", ["a", "A", "./a", "a/"])
def test_two_images_with_one_output_file_are_refused(tmp_path, stem):
    write_results(tmp_path / "theirs", ("x.jpg", "a"), ("y.jpg", stem))
    with pytest.raises(ValueError, match=r"y.jpg and another image would have the same output file"):
        convert_results(tmp_path / "theirs", tmp_path / "out", "png")


def test_a_stem_may_be_the_name_of_another_image(tmp_path):
    """A run over x.jpg and x.jpg.png gives the stems x and x.jpg."""
    write_results(tmp_path / "one", ("x.jpg", "x"), ("x.jpg.png", "x.jpg"))
    write_results(tmp_path / "two", ("y.jpg", "y"))
    assert merge_results([tmp_path / "one", tmp_path / "two"], tmp_path / "both").images == 3
    write_results(tmp_path / "three", ("X.png", "X"))
    with pytest.raises(ValueError, match=r"X.png and another image would have the same output file \(X\); .* --prefix"):
        merge_results([tmp_path / "one", tmp_path / "three"], tmp_path / "clash")


def two_runs(tmp_path, light_model):
    """Runs over photographs of one name: what is astronaut.jpg in the first is a rocket in the second."""
    for folder, name in (("monday", "astronaut"), ("tuesday", "rocket")):
        save_photo(tmp_path / f"{folder}_photos" / "x.jpg", name)
        run(tmp_path / f"{folder}_photos", tmp_path / folder, light_model)
    return [tmp_path / "monday", tmp_path / "tuesday"]


def shown(folder, monkeypatch):
    """Where the photographs of a preview lie, by the name of the image whose masks are drawn on them."""
    found = {}
    monkeypatch.setattr(ImageReader, "read", lambda self, image: image.path.encode())
    monkeypatch.setattr(preview, "read_photo", lambda data: Path(data.decode()))

    def note(path, image):
        found[image.name] = path.parent.name
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(preview, "_tile", note)
    write_preview(folder, folder / "sheet.png", 9)
    return found


def test_a_preview_of_merged_results_shows_each_photograph_with_its_own_masks(tmp_path, light_model, monkeypatch):
    merge_results(two_runs(tmp_path, light_model), tmp_path / "week", prefix=True)
    filter_results(tmp_path / "week", tmp_path / "good", MaskFilter())
    merge_results([tmp_path / "good", tmp_path / "monday"], tmp_path / "all", prefix=True)
    of_week = {"monday/x.jpg": "monday_photos", "tuesday/x.jpg": "tuesday_photos"}
    assert shown(tmp_path / "good", monkeypatch) == of_week
    of_all = {"good/" + name: folder for name, folder in of_week.items()}
    assert shown(tmp_path / "all", monkeypatch) == {**of_all, "monday/x.jpg": "monday_photos"}


@pytest.mark.parametrize("prefixed", [False, True])
def test_a_folder_that_is_made_from_itself_says_that_no_photographs_are_known(tmp_path, prefixed):
    folder = write_results(tmp_path / "theirs", ("x.jpg", "x"))
    facts = json.loads((folder / "dataset.json").read_bytes())
    (folder / "dataset.json").write_text(json.dumps({**facts, "made_from": [str(folder)] * 2, "prefixed": prefixed}))
    with pytest.raises(ValueError, match="can be shown: where its images lie is not known"):
        write_preview(folder, tmp_path / "sheet.jpg", 2)


def test_a_tile_holds_few_masks_at_a_time(tmp_path):
    """Forty masks of a megapixel would be 40 MB."""
    rle = encode_rle(np.arange(10**6).reshape(1000, 1000) < 5000)
    image = ImageMasks(1, "x.jpg", "x", (1000, 1000), (MaskRecord(rle, 5000, (0, 0, 1000, 5), 0.9),) * 40)
    tracemalloc.start()
    preview._tile(np.zeros((1000, 1000, 3), np.uint8), image)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20e6


@pytest.mark.parametrize("form", ["coco", "parquet", "png", "sa1b"])
@pytest.mark.parametrize("damage", ["lacks a key", "is a list", "is cut"])
def test_a_file_of_results_that_is_not_as_expected_is_named(finished, tmp_path, form, damage):
    convert_results(finished, tmp_path / "theirs", form)
    path = sorted((tmp_path / "theirs").glob(find_form(form).look_at))[0]
    path = path / "rocket.json" if path.is_dir() else path
    damaged = {"lacks a key": without_size, "is a list": as_list, "is cut": cut}[damage]
    damaged(path)
    facts = json.loads((tmp_path / "theirs" / "dataset.json").read_bytes())
    (tmp_path / "theirs" / "dataset.json").write_text(json.dumps({**facts, "bytes": path.stat().st_size}))
    results = open_results(tmp_path / "theirs")
    words = rf"{path.name} (has no 'height', which|cannot be read as) results of .*; remove or mend it"
    with pytest.raises(ValueError, match=words):
        list(results.read())


def without_size(path):
    """The file without the height of its images, as another program could have written it."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.parquet.read_table(path).drop(["height"]), path)
    else:
        path.write_text(path.read_text().replace('"height"', '"tall"'))


def as_list(path):
    path.write_text("[]")


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("form", ["png", "sa1b"])
def test_a_stray_file_among_results_is_named(finished, tmp_path, form):
    convert_results(finished, tmp_path / "theirs", form)
    (tmp_path / "theirs" / find_form(form).look_at / "notes.json").write_text('{"by": "me"}')
    with pytest.raises(ValueError, match=r"notes.json (has no|cannot be read as) .*; remove or mend it"):
        filter_results(tmp_path / "theirs", tmp_path / "out", MaskFilter())
