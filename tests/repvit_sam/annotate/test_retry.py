"""``--retry-failed``: images that failed and were mended, made without touching what was made."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from repvit_sam.annotate import retry
from repvit_sam.annotate.results import open_results
from repvit_sam.annotate.sources.files import ImageReader

from .conftest import files_of, run, save_photo

FORMS = ["coco", "parquet", "png", "sa1b"]


@pytest.fixture
def broken(photos, tmp_path):
    """The photographs with two of them broken, one empty, and a copy of them whole."""
    shutil.copytree(photos, tmp_path / "whole")
    (photos / "a" / "chelsea.png").write_bytes(b"no photo")
    (photos / "rocket.png").write_bytes(b"")
    return photos


def mend(broken, name):
    shutil.copy2(broken.parent / "whole" / name, broken / name)


def failed_in(out):
    path = out / "failed.jsonl"
    return [json.loads(line)["image"] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("form", FORMS)
def test_mended_images_are_made_and_the_results_are_as_if_nothing_had_failed(
    broken, tmp_path, light_model, form, monkeypatch
):
    out = tmp_path / "out"
    assert run(broken, out, light_model, form=form).failed == 2
    for name in ("a/chelsea.png", "rocket.png"):
        mend(broken, name)
    read, looks = ImageReader.read, Counter()
    monkeypatch.setattr(ImageReader, "read", lambda self, image: looks.update([image.name]) or read(self, image))
    outcome = run(broken, out, light_model, form=form, retry_failed=True)
    assert (outcome.images, outcome.failed, outcome.made_now) == (6, 0, 4)
    assert sorted(looks) == ["a/astronaut.jpg", "a/chelsea.png", "rocket.jpg", "rocket.png"]  # two shards of three
    run(tmp_path / "whole", tmp_path / "expected", light_model, form=form)
    assert files_of(out) == files_of(tmp_path / "expected")
    assert json.loads((out / "manifest" / "summary.json").read_text())["failed"] == 0
    assert run(broken, out, light_model, form=form).made_now == 0


def test_what_is_still_broken_stays_on_the_list(broken, tmp_path, light_model):
    out = tmp_path / "out"
    run(broken, out, light_model)
    mend(broken, "rocket.png")
    outcome = run(broken, out, light_model, retry_failed=True)
    assert (outcome.images, outcome.failed) == (5, 1)
    assert failed_in(out) == ["a/chelsea.png"]
    assert open_results(out).images == 5


def test_where_nothing_failed_nothing_is_made(photos, tmp_path, light_model):
    run(photos, tmp_path / "out", light_model)
    before = files_of(tmp_path / "out")
    assert run(photos, tmp_path / "out", light_model, retry_failed=True).made_now == 0
    assert files_of(tmp_path / "out") == before


def test_another_image_that_has_changed_is_refused_and_a_mended_one_is_told_of_the_option(
    broken, tmp_path, light_model
):
    out = tmp_path / "out"
    run(broken, out, light_model)
    mend(broken, "rocket.png")
    with pytest.raises(ValueError, match=r"rocket.png was changed; give another --out, --retry-failed to make the"):
        run(broken, out, light_model)
    save_photo(broken / "rocket.jpg", "coffee")
    with pytest.raises(ValueError, match=r"rocket.jpg was changed; give another --out, or --as-listed"):
        run(broken, out, light_model, retry_failed=True)
    assert open_results(out).images == 4


class Stops:
    """Stops the process, as it were, before the n-th file that is put in place or removed."""

    def __init__(self, number):
        self._left = number

    def before(self, work):
        def counted(*words, **options):
            self._left -= 1
            if not self._left:
                raise KeyboardInterrupt
            return work(*words, **options)

        return counted


@pytest.mark.slow
@pytest.mark.parametrize("step", ["take_apart", "mark_unfinished", "forget", "read", *range(1, 12)])
def test_a_retry_that_is_killed_loses_nothing(broken, tmp_path, light_model, monkeypatch, step):
    """Wherever it stops, the same command leads to the same results; what was made is not made again."""
    out = tmp_path / "out"
    run(broken, out, light_model)
    mend(broken, "a/chelsea.png")

    def stop(*_):
        raise KeyboardInterrupt

    places = {
        "take_apart": (retry, "find_form"),
        "mark_unfinished": (retry, "mark_unfinished"),
        "forget": (retry.RecordFolder, "forget"),
        "read": (ImageReader, "read"),
    }
    with monkeypatch.context() as patch:
        if step in places:
            patch.setattr(*places[step], stop)
        else:
            stops = Stops(step)
            for home, name in ((os, "replace"), (Path, "unlink")):
                patch.setattr(home, name, stops.before(getattr(home, name)))
        with pytest.raises(KeyboardInterrupt):
            run(broken, out, light_model, retry_failed=True)
    read, looks = ImageReader.read, Counter()
    monkeypatch.setattr(ImageReader, "read", lambda self, image: looks.update([image.name]) or read(self, image))
    outcome = run(broken, out, light_model, retry_failed=True)
    assert (outcome.images, outcome.failed) == (5, 1)
    assert len(looks) <= 4
    run(broken, tmp_path / "expected", light_model)
    assert files_of(out) == files_of(tmp_path / "expected")
    assert len(list((out / "manifest").glob("plan*"))) == 3


def test_images_as_they_were_and_as_they_are_do_not_go_together(photos, tmp_path, light_model):
    with pytest.raises(ValueError, match="--as-listed takes images as they were, --retry-failed as they are now"):
        run(photos, tmp_path / "out", light_model, as_listed=True, retry_failed=True)


def test_an_image_that_failed_at_the_prompts_is_made_with_new_ones(photos, tmp_path, light_model):
    def write(x):
        content = {
            "images": [{"id": 1, "file_name": "rocket.jpg"}, {"id": 2, "file_name": "coffee.png"}],
            "annotations": [
                {"id": 1, "image_id": 1, "category_id": 1, "bbox": [x, 5, 20, 20]},
                {"id": 2, "image_id": 2, "category_id": 1, "bbox": [5, 5, 20, 20]},
            ],
            "categories": [{"id": 1, "name": "thing"}],
        }
        (tmp_path / "boxes.json").write_text(json.dumps(content))

    write(5000)
    assert run(tmp_path / "boxes.json", tmp_path / "out", light_model, images=str(photos)).failed == 1
    write(5)
    again = run(tmp_path / "boxes.json", tmp_path / "out", light_model, images=str(photos), retry_failed=True)
    assert (again.images, again.failed) == (2, 0)
