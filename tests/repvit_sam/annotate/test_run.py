"""A run over a folder: its results, what it refuses, what fails, and going on."""

import errno
import json
import os
import shutil
import threading
from contextlib import nullcontext
from pathlib import Path

import fsspec
import pytest
from filelock import FileLock

from repvit_sam.annotate.results import open_results
from repvit_sam.annotate.sources.files import ImageReader
from repvit_sam.checkpoints.registry import CHECKPOINTS
from repvit_sam.errors import JobError
from repvit_sam.jobs.chosen_model import ChosenModel

from .conftest import EVERYTHING, NAMES, files_of, run, save_photo


def coco_of(out):
    return json.loads((out / "annotations.json").read_bytes())


def failures_of(out):
    return {row["image"]: row["reason"] for row in map(json.loads, (out / "failed.jsonl").read_text().splitlines())}


def test_a_folder_becomes_one_coco_file_in_the_order_of_the_source(photos, tmp_path, light_model):
    outcome = run(photos, tmp_path / "out", light_model)
    content = coco_of(tmp_path / "out")
    assert [image["file_name"] for image in content["images"]] == sorted([*NAMES, "rocket.png"])
    assert [image["id"] for image in content["images"]] == [1, 2, 3, 4, 5, 6]
    assert [row["id"] for row in content["annotations"]] == list(range(1, outcome.masks + 1))
    assert content["categories"] == [{"id": 1, "name": "object"}]
    assert outcome.images == 6
    assert outcome.masks > 6
    assert not outcome.failed
    assert sorted(files_of(tmp_path / "out")) == ["annotations.json", "dataset.json"]


def test_pycocotools_reads_the_file_and_its_masks(finished):
    from pycocotools.coco import COCO

    coco = COCO(str(finished / "annotations.json"))
    for row in coco.anns.values():
        mask = coco.annToMask(row)
        assert mask.sum() == row["area"]
        assert mask.shape == (60, 90)
        x, y, width, height = row["bbox"]
        assert mask[y : y + height, x : x + width].sum() == row["area"]
        assert mask[y].any()
        assert mask[y + height - 1].any()
        assert mask[:, x].any()
        assert mask[:, x + width - 1].any()


@pytest.mark.parametrize("form", ["coco", "parquet"])
def test_two_workers_write_the_bytes_that_one_writes(photos, tmp_path, light_model, form):
    (photos / "broken.jpg").write_bytes(b"no photo")
    run(photos, tmp_path / "one", light_model, form=form)
    run(photos, tmp_path / "two", light_model, workers=2, form=form)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.mark.slow
def test_ray_writes_the_bytes_that_one_process_writes(ray_here, photos, tmp_path, light_model):
    (photos / "broken.jpg").write_bytes(b"no photo")
    run(photos, tmp_path / "one", light_model)
    outcome = run(photos, tmp_path / "ray", light_model, workers=2, runner="ray")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "ray")
    assert (outcome.images, outcome.failed) == (6, 1)


@pytest.mark.slow
def test_under_ray_the_workers_say_what_auto_means(ray_here, photos, tmp_path, light_checkpoint, monkeypatch):
    """This process has no say in it: it could be one without the workers' GPU."""
    auto = ChosenModel(str(light_checkpoint), "auto", "auto")
    meant = auto.computing
    monkeypatch.setattr(ChosenModel, "computing", property(lambda self: pytest.fail("asked here")))
    run(photos, tmp_path / "out", auto, workers=2, runner="ray", limit=2)
    settings = json.loads((tmp_path / "out" / "manifest" / "settings.json").read_text())
    assert (settings["engine"], settings["device"]) == (meant.engine, meant.device)


def test_machines_that_differ_end_a_run_before_it_begins(photos, tmp_path, light_model, monkeypatch):
    from repvit_sam.annotate import run as module
    from repvit_sam.jobs.computing import Computing

    found = {"a": Computing("torch", "cuda", "fp32"), "b": Computing("torch", "cpu", "fp32")}
    monkeypatch.setattr(module, "connected", lambda place: nullcontext())
    monkeypatch.setattr(module, "ask_machines", lambda question, place: list(found.items()))
    with pytest.raises(ValueError, match=r"torch on cuda in fp32 \(a\), torch on cpu in fp32 \(b\); give --engine"):
        run(photos, tmp_path / "out", light_model, runner="ray")
    assert not (tmp_path / "out" / "manifest" / "settings.json").exists()


def test_a_run_does_not_go_on_where_the_machines_compute_otherwise(photos, tmp_path, light_model, monkeypatch):
    from repvit_sam.annotate import run as module
    from repvit_sam.jobs.computing import Computing

    run(photos, tmp_path / "out", light_model, limit=2)
    answers = [("a", Computing("torch", "cuda", "fp32"))]
    monkeypatch.setattr(module, "connected", lambda place: nullcontext())
    monkeypatch.setattr(module, "ask_machines", lambda question, place: answers)
    with pytest.raises(ValueError, match="holds a run with device = 'cpu', this one has 'cuda'"):
        run(photos, tmp_path / "out", light_model, limit=2, runner="ray")


def test_the_size_of_shards_does_not_show(photos, tmp_path, light_model):
    run(photos, tmp_path / "two", light_model, shard_size=2)
    run(photos, tmp_path / "five", light_model, shard_size=5)
    assert files_of(tmp_path / "two") == files_of(tmp_path / "five")


def test_what_is_done_is_not_made_again(photos, tmp_path, light_model, monkeypatch):
    run(photos, tmp_path / "out", light_model)
    before = files_of(tmp_path / "out")
    monkeypatch.setattr(ImageReader, "read", lambda self, image: pytest.fail("read again"))
    outcome = run(photos, tmp_path / "out", light_model)
    assert (outcome.made_now, outcome.images) == (0, 6)
    assert files_of(tmp_path / "out") == before


@pytest.mark.parametrize(("form", "lost"), [("coco", "annotations.json"), ("parquet", "masks-00001.parquet")])
def test_a_file_of_the_results_that_is_lost_is_made_again(photos, tmp_path, light_model, form, lost):
    out = tmp_path / "out"
    run(photos, out, light_model, form=form)
    before = files_of(out)
    (out / lost).unlink()
    run(photos, out, light_model, form=form)
    assert files_of(out) == before


@pytest.mark.parametrize("keep", [0, 100])
@pytest.mark.parametrize("failing", [False, True])
def test_a_cut_file_of_a_finished_run_is_made_again_and_not_opened(photos, tmp_path, light_model, keep, failing):
    if failing:  # a run without shards on disk
        for path in photos.rglob("*.*"):
            path.write_bytes(b"no photo")
    out = tmp_path / "out"
    run(photos, out, light_model)
    before = files_of(out)
    os.truncate(out / "annotations.json", keep if not failing else min(keep, 9))
    with pytest.raises(
        ValueError, match=r"annotations.json has \d+ bytes and was written with [\d,]+; make the results"
    ):
        open_results(out)
    run(photos, out, light_model)
    assert files_of(out) == before


def test_a_file_that_is_lost_before_the_shards_are_removed_is_put_together_from_them(
    photos, tmp_path, light_model, monkeypatch
):
    from repvit_sam.annotate.forms.coco import CocoForm

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(CocoForm, "tidy", lambda *_: None)
        run(photos, out, light_model)
    before = (out / "annotations.json").read_bytes()
    (out / "annotations.json").unlink()
    assert run(photos, out, light_model).made_now == 0
    assert (out / "annotations.json").read_bytes() == before
    assert not (out / "shards").exists()


def test_another_file_in_the_folder_of_shards_stays(photos, tmp_path, light_model):
    (tmp_path / "out" / "manifest").mkdir(parents=True)  # a run that has just begun
    (tmp_path / "out" / "shards").mkdir()
    for name in ("mine.jsonl", "00099.jsonl"):
        (tmp_path / "out" / "shards" / name).write_text("mine")
    run(photos, tmp_path / "out", light_model)
    assert sorted(path.name for path in (tmp_path / "out" / "shards").iterdir()) == ["00099.jsonl", "mine.jsonl"]


@pytest.mark.parametrize("form", ["coco", "parquet", "png", "sa1b"])
def test_a_shard_that_was_made_and_then_fails_leaves_none_of_its_files(photos, tmp_path, light_model, form):
    """Killed after its files were put in place and before its record was written; then its photographs break."""
    out = tmp_path / "out"
    run(photos, out, light_model, form=form, limit=2)
    (out / "manifest" / "records-0.jsonl").unlink()
    (out / "annotations.json").unlink(missing_ok=True)
    (out / "dataset.json").unlink()
    for name in NAMES[:2]:
        (photos / name).write_bytes(b"no photo")
    outcome = run(photos, out, light_model, form=form, limit=2, as_listed=True)
    assert (outcome.images, outcome.failed) == (0, 2)
    assert list(open_results(out).read()) == []


def test_while_a_lost_file_is_made_again_the_results_are_not_whole(photos, tmp_path, light_model, monkeypatch):
    out = tmp_path / "out"
    run(photos, out, light_model, form="parquet", limit=2)
    (out / "masks-00000.parquet").unlink()

    def stop(self, image):
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageReader, "read", stop)
    with pytest.raises(KeyboardInterrupt):
        run(photos, out, light_model, form="parquet", limit=2)
    with pytest.raises(ValueError, match="holds a run that has not ended; let it end first"):
        open_results(out)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"everything": {**EVERYTHING, "points_per_side": 3}}, "points_per_side = 2, this one has 3"),
        ({"shard_size": 3}, "shard_size = 2, this one has 3"),
        ({"form": "png"}, "format = 'coco', this one has 'png'"),
        ({"threads": 2}, "threads = 1, this one has 2"),
    ],
)
def test_other_settings_are_refused_with_the_one_that_differs(photos, tmp_path, light_model, changed, words):
    run(photos, tmp_path / "out", light_model, limit=2)
    with pytest.raises(ValueError, match=words):
        run(photos, tmp_path / "out", light_model, limit=2, **changed)


def test_another_checkpoint_is_refused(photos, tmp_path, light_model):
    run(photos, tmp_path / "out", light_model, limit=1)
    small = CHECKPOINTS["repvit_sam_m0_9"].sha256
    with pytest.raises(ValueError, match=rf"holds a run with checkpoint = '[0-9a-f]{{64}}', this one has '{small}'"):
        run(photos, tmp_path / "out", ChosenModel("small", "torch", "cpu"), limit=1)


def test_a_source_that_has_changed_is_refused_and_can_be_kept_as_it_was_listed(photos, tmp_path, light_model):
    out = tmp_path / "out"
    run(photos, out, light_model)
    save_photo(photos / "new.jpg")
    with pytest.raises(ValueError, match=r"begun with: image 5 was rocket.jpg and is new.jpg; .* or --as-listed"):
        run(photos, out, light_model)
    assert run(photos, out, light_model, as_listed=True).images == 6
    (photos / "new.jpg").unlink()
    (photos / "rocket.png").unlink()
    with pytest.raises(ValueError, match=r"begun with: rocket.png is gone;"):
        run(photos, out, light_model)
    save_photo(photos / "rocket.png", "coffee")
    with pytest.raises(ValueError, match=r"begun with: rocket.png was changed;"):
        run(photos, out, light_model)


def test_bad_images_are_listed_with_their_reasons_and_the_others_are_made(photos, tmp_path, light_model):
    whole = (photos / "rocket.jpg").read_bytes()
    (photos / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.png").write_bytes(b"")
    save_photo(photos / "large.png", size=(300, 200))
    outcome = run(photos, tmp_path / "out", light_model, max_pixels=59_999)
    reasons = failures_of(tmp_path / "out")
    assert list(reasons) == ["broken.jpg", "empty.png", "large.png"]
    assert reasons["broken.jpg"].startswith("the file is damaged")
    assert reasons["empty.png"] == "the file: empty, no picture inside"
    assert "more than 59,999 pixels" in reasons["large.png"]
    assert (outcome.images, outcome.failed) == (6, 3)
    assert len(coco_of(tmp_path / "out")["images"]) == 6


def test_images_that_vanish_or_change_after_the_listing_fail(photos, tmp_path, light_model, monkeypatch):
    read = ImageReader.read

    def change_others_then_read(self, image):
        (photos / "rocket.png").unlink(missing_ok=True)
        save_photo(photos / "coffee.png", "rocket")
        return read(self, image)

    monkeypatch.setattr(ImageReader, "read", change_others_then_read)
    outcome = run(photos, tmp_path / "out", light_model)
    assert (outcome.images, outcome.failed) == (4, 2)
    assert failures_of(tmp_path / "out") == {
        "coffee.png": "its file was changed after the source was listed",
        "rocket.png": "it is gone: it was there when the source was listed",
    }


def test_where_all_images_fail_there_is_an_empty_result(tmp_path, light_model):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"no photo")
    outcome = run(tmp_path / "photos", tmp_path / "out", light_model)
    assert (outcome.images, outcome.failed) == (0, 1)
    assert coco_of(tmp_path / "out")["images"] == []


def test_results_within_the_source_are_not_part_of_it(photos, light_model):
    out = photos / "out"
    assert run(photos, out, light_model, form="png").images == 6
    assert run(photos, out, light_model, form="png").made_now == 0


def test_a_folder_that_another_run_holds_is_refused(photos, tmp_path, light_model):
    (tmp_path / "out" / "manifest").mkdir(parents=True)
    with (
        FileLock(tmp_path / "out" / "manifest" / "lock"),
        pytest.raises(JobError, match=r"another run is writing to .*out; wait for its end, or give another --out"),
    ):
        run(photos, tmp_path / "out", light_model)


@pytest.mark.skipif(not os.path.ismount("/sys"), reason="needs a folder that nobody may write, not even root")
def test_a_folder_that_cannot_be_written_is_named_in_a_sentence(photos, light_model):
    with pytest.raises(JobError, match=r"/sys/\S* cannot be written: .*, and the same command goes on"):
        run(photos, Path("/sys/masks"), light_model)


def test_a_full_disk_ends_the_run_in_a_sentence_and_the_run_goes_on(photos, tmp_path, light_model, monkeypatch):
    """The third shard finds the disk full: a write that comes back with the system's error."""
    import errno

    from repvit_sam.annotate.forms import coco

    run(photos, tmp_path / "whole", light_model)
    close, closed = coco._Lines.close, []

    def close_until_full(self):
        closed.append(self)
        if len(closed) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", "x")
        close(self)

    monkeypatch.setattr(coco._Lines, "close", close_until_full)
    with pytest.raises(JobError, match="cannot be written: No space left on device; make room"):
        run(photos, tmp_path / "out", light_model)
    monkeypatch.undo()
    assert run(photos, tmp_path / "out", light_model).made_now == 2
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("form", ["parquet", "sa1b"])
def test_an_image_whose_name_is_no_utf8_fails_alone(photos, tmp_path, light_model, form):
    strange = os.fsencode(photos) + b"/caf\xe9.jpg"
    try:
        shutil.copy(photos / "rocket.jpg", strange)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    outcome = run(photos, tmp_path / "out", light_model, form=form)
    assert (outcome.images, outcome.failed) == (6, 1)
    assert failures_of(tmp_path / "out") == {os.fsdecode(b"caf\xe9.jpg"): "its name is no UTF-8"}
    assert len(list(open_results(tmp_path / "out").read())) == 6


def test_a_row_group_is_read_once_for_all_shards_of_a_worker(photos, tmp_path, light_model, monkeypatch):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    data = (photos / "rocket.jpg").read_bytes()
    parquet.write_table(pyarrow.table({"jpg": [data] * 3}), tmp_path / "table.parquet")
    read, groups = parquet.ParquetFile.read_row_group, []

    def count_then_read(self, group, columns):
        groups.append(group)
        return read(self, group, columns=columns)

    monkeypatch.setattr(parquet.ParquetFile, "read_row_group", count_then_read)
    assert run(tmp_path / "table.parquet", tmp_path / "out", light_model, shard_size=1).images == 3
    assert groups == [0]


def test_all_shards_of_a_worker_are_read_in_one_thread(photos, tmp_path, light_model, monkeypatch):
    """A new one each time would use another heap of glibc's, and the worker would grow."""
    read, readers = ImageReader.read, []
    monkeypatch.setattr(
        ImageReader, "read", lambda self, image: readers.append(threading.current_thread()) or read(self, image)
    )
    run(photos, tmp_path / "out", light_model)
    assert len(readers) == 6
    assert len(set(readers)) == 1
    readers[0].join(timeout=10)
    assert not readers[0].is_alive()


def test_a_source_that_cannot_be_read_is_named(photos, tmp_path, light_model, monkeypatch):
    from repvit_sam.annotate.sources import listing

    def refuse(system, path, name):
        raise PermissionError(13, "Permission denied", path)

    (photos / "part.tar").write_bytes(b"")
    monkeypatch.setattr(listing, "images_of_tar", refuse)
    with pytest.raises(ValueError, match=r"photos/part.tar cannot be read: Permission denied"):
        run(photos, tmp_path / "out", light_model)


def test_torchrun_is_refused(photos, tmp_path, light_model, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"torchrun would start a run in each process; .* give --workers"):
        run(photos, tmp_path / "out", light_model)


def test_a_limited_run_takes_the_first_images(photos, tmp_path, light_model):
    outcome = run(photos, tmp_path / "out", light_model, limit=3)
    assert outcome.images == 3
    assert [image["file_name"] for image in coco_of(tmp_path / "out")["images"]] == sorted(NAMES)[:3]


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(photos, tmp_path, light_model):
    """Masks of one's own beside the photos: results would take their names."""
    own = save_photo(tmp_path / "data" / "masks" / "rocket.png")
    before = own.read_bytes()
    with pytest.raises(ValueError, match="holds other files; give a new or an empty folder as --out"):
        run(photos, tmp_path / "data", light_model, form="png")
    assert files_of(tmp_path / "data") == {"masks/rocket.png": before}


def test_an_address_as_the_folder_of_results_is_refused(photos, light_model):
    with pytest.raises(ValueError, match="--out must be a folder, of this machine or mounted, got the address s3://"):
        run(photos, Path("s3://bucket/masks"), light_model)


def test_a_mistyped_source_does_not_take_the_folder(photos, tmp_path, light_model):
    with pytest.raises(ValueError, match="phtos"):
        run(tmp_path / "phtos", tmp_path / "out", light_model)
    assert run(photos, tmp_path / "out", light_model, limit=1).images == 1


def test_an_error_of_the_system_ends_the_run_and_fails_no_image(photos, tmp_path, light_model, monkeypatch):
    """A thousand images that are in order must not be listed as failed because the network was away."""
    local, cat_file = fsspec.get_filesystem_class("file"), fsspec.get_filesystem_class("file").cat_file

    def away(self, path, *arguments, **options):
        if path.endswith("coffee.png"):
            raise OSError(errno.ETIMEDOUT, "Connection timed out")
        return cat_file(self, path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(local, "cat_file", away)
        with pytest.raises(JobError, match=r"coffee\.png cannot be read: Connection timed out; .* the same command"):
            run(photos, tmp_path / "out", light_model)
    assert not run(photos, tmp_path / "out", light_model).failed


def test_boxes_of_a_coco_file_become_masks_with_its_ids_and_categories(photos, tmp_path, light_model):
    content = {
        "images": [
            {"id": 70, "file_name": "rocket.jpg", "height": 40, "width": 60},
            {"id": 5, "file_name": "coffee.png"},
        ],
        "annotations": [
            {"id": 1, "image_id": 70, "category_id": 3, "bbox": [10, 5, 30, 30]},
            {"id": 2, "image_id": 70, "category_id": 4, "bbox": [0, 0, 20, 20]},
        ],
        "categories": [{"id": 3, "name": "rocket"}, {"id": 4, "name": "tower"}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    run(tmp_path / "boxes.json", tmp_path / "out", light_model, images=str(photos))
    found = coco_of(tmp_path / "out")
    assert [image["id"] for image in found["images"]] == [5, 70]
    assert [(row["image_id"], row["category_id"]) for row in found["annotations"]] == [(70, 3), (70, 4)]
    assert found["annotations"][0]["prompt_box_xyxy"] == [10, 5, 40, 35]
    assert found["categories"] == content["categories"]


def test_a_prompts_mask_is_the_same_beside_one_of_more_points(photos, tmp_path, light_model):
    def masks_of(name, *prompts):
        rows = [
            {"id": number, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "point_coords": points}
            for number, points in enumerate(prompts, 1)
        ]
        content = {"images": [{"id": 1, "file_name": "coffee.png"}], "annotations": rows}
        (tmp_path / f"{name}.json").write_text(json.dumps({**content, "categories": [{"id": 1, "name": "thing"}]}))
        run(tmp_path / f"{name}.json", tmp_path / name, light_model, images=str(photos), use="points")
        return [row["segmentation"] for row in coco_of(tmp_path / name)["annotations"]]

    few, many = [[30, 20], [26, 16]], [[x, 20] for x in range(10, 50, 4)]
    assert masks_of("together", few, many) == [*masks_of("few", few), *masks_of("many", many)]


def test_points_and_keypoints_are_prompts_and_the_given_size_is_checked(photos, tmp_path, light_model):
    def row(number, **fields):
        return {"id": number, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], **fields}

    content = {
        "images": [{"id": 1, "file_name": "rocket.jpg"}, {"id": 2, "file_name": "coffee.png", "height": 9, "width": 9}],
        "annotations": [
            row(1, keypoints=[30, 20, 2, 5, 5, 0, 28, 10, 1], point_coords=[[30, 20]]),
            row(2, keypoints=[0, 0, 0], point_coords=[[30, 20], [1, 1]], point_labels=[1, 0]),
            {**row(3, keypoints=[4, 4, 2], point_coords=[[4, 4]]), "image_id": 2},
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "file.json").write_text(json.dumps(content))
    for use, labels in (("keypoints", [[1, 1]]), ("points", [[1], [1, 0]])):
        run(tmp_path / "file.json", tmp_path / use, light_model, images=str(photos), use=use)
        assert [row["point_labels"] for row in coco_of(tmp_path / use)["annotations"]] == labels
        reason = "its prompts are for 9x9 pixels, it has 60x40 (after EXIF orientation)"
        assert failures_of(tmp_path / use) == {"coffee.png": reason}
    everything = run(tmp_path / "file.json", tmp_path / "none", light_model, images=str(photos), use="none")
    assert everything.images == 2
    assert "stability_score" in coco_of(tmp_path / "none")["annotations"][0]
