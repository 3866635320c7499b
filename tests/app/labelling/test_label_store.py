import errno
import json
import os
import stat
import threading

import numpy as np
import pytest
from pycocotools.coco import COCO

from repvit_sam.app.labelling.coco_document import LabelFileError, parse_document
from repvit_sam.app.labelling.label_store import (
    Change,
    ChangedElsewhereError,
    LabelStore,
    NotSavedError,
    split_annotations,
)
from repvit_sam.app.labelling.photo_folder import PhotoFolder
from repvit_sam.app.schemas import RequestError
from repvit_sam.rle import decode_rle, encode_rle

from .conftest import PHOTO_HW, layer, rectangle

COFFEE, CHELSEA = "coffee.jpg", "chelsea.jpg"
HW = PHOTO_HW["coffee"]
CUP, SPOON = rectangle(HW, 100, 50, 80, 60), rectangle(HW, 400, 200, 30, 20)


def on_disk(folder):
    return json.loads((folder / "annotations.json").read_text())


def states(store):
    return {photo.name: (photo.state, photo.count) for photo in store.photos()}


def save(store, layers, state="in work", name=COFFEE):
    part = store.part(name)
    return store.save(name, HW, Change(part.revision if part else ""), state, layers)


def edit_file(folder, change):
    """What another program does."""
    content = on_disk(folder)
    change(content)
    (folder / "annotations.json").write_text(json.dumps(content))


def other_tool_file(folder):
    """As another tool writes it: polygons, keys of its own, boxes without masks, photos that are not here."""
    content = {
        "info": {"year": 2020},
        "licenses": [{"id": 7, "name": "CC0"}],
        "categories": [{"id": 5, "name": "cup", "supercategory": "kitchen"}, {"id": 9, "name": "spoon"}],
        "images": [
            {"id": 11, "file_name": "coffee.jpg", "height": HW[0], "width": HW[1], "coco_url": "x"},
            {"id": 12, "file_name": "elsewhere.jpg", "height": 10, "width": 10},
        ],
        "annotations": [
            {
                **{"id": 31, "image_id": 11, "category_id": 5, "iscrowd": 0, "attributes": {"occluded": True}},
                **{"segmentation": [[10, 10, 60, 12, 40, 80]], "area": 1700.5, "bbox": [10, 10, 50, 70]},
            },
            {"id": 32, "image_id": 11, "category_id": 9, "bbox": [1, 2, 3, 4], "segmentation": []},
            {"id": 40, "image_id": 12, "category_id": 9, "bbox": [1, 2, 3, 4], "segmentation": [[1, 1, 5, 1, 5, 5]]},
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return content


def test_what_is_saved_is_on_the_disk_and_read_by_pycocotools(labels, folder, capsys):
    cup, spoon = labels.add_class("cup"), labels.add_class("spoon")
    saved = save(labels, [layer(cup, CUP), layer(spoon, SPOON)], "done")
    coco = COCO(folder / "annotations.json")
    image = coco.loadImgs(coco.getImgIds())[0]
    assert (image["file_name"], image["height"], image["width"]) == (COFFEE, *HW)
    records = coco.loadAnns(coco.getAnnIds(image["id"]))
    assert [coco.cats[record["category_id"]]["name"] for record in records] == ["cup", "spoon"]
    np.testing.assert_array_equal(coco.annToMask(records[0]), decode_rle(CUP))
    assert records[0]["area"] == 80 * 60
    assert records[0]["bbox"] == [100, 50, 80, 60]
    assert saved.annotations == tuple(record["id"] for record in records)
    assert states(labels)[COFFEE] == ("done", 2)


def test_labels_are_there_after_a_restart(open_labels):
    labels = open_labels()
    saved = save(labels, [layer(labels.add_class("cup"), CUP)], "done")
    again = open_labels()
    assert states(again)[COFFEE] == ("done", 1)
    assert states(again)[CHELSEA] == ("untouched", 0)
    assert again.part(COFFEE).revision == saved.revision
    assert [category["name"] for category in again.classes()] == ["cup"]


def test_a_photo_without_objects_can_be_done(labels, open_labels):
    save(labels, [], "done")
    assert states(open_labels())[COFFEE] == ("done", 0)


def test_a_change_replaces_only_its_photo_and_keeps_ids(labels, folder):
    cup = labels.add_class("cup")
    save(labels, [layer(cup, CUP)], name=CHELSEA)
    first = save(labels, [layer(cup, CUP)])
    second = save(labels, [layer(cup, CUP, first.annotations[0]), layer(cup, SPOON)])
    assert second.annotations[0] == first.annotations[0]
    assert len({record["id"] for record in on_disk(folder)["annotations"]}) == 3


def test_an_undone_deletion_brings_the_record_back_whole(labels, folder):
    labels.close()
    other_tool_file(folder)
    labels = LabelStore(PhotoFolder(folder), folder / "annotations.json")
    shown, _ = split_annotations(labels.part(COFFEE).annotations(), HW)
    ((record, rle),) = shown
    save(labels, [])
    save(labels, [layer(5, rle, 31)])
    labels.close()
    assert [r for r in on_disk(folder)["annotations"] if r["id"] == 31] == [record]


def test_nothing_of_another_tools_file_is_lost(folder, open_labels):
    before = other_tool_file(folder)
    labels = open_labels()
    assert states(labels)[COFFEE] == ("in work", 2)
    assert labels.not_here == 1
    shown, kept = split_annotations(labels.part(COFFEE).annotations(), HW)
    assert [record["id"] for record in kept] == [32]
    save(labels, [layer(9, shown[0][1], 31), layer(5, CUP)], "done")
    after = on_disk(folder)
    assert {key: after[key] for key in ("info", "licenses")} == {key: before[key] for key in ("info", "licenses")}
    assert after["categories"] == before["categories"]
    assert after["images"][1] == before["images"][1]
    assert after["images"][0]["coco_url"] == "x"
    records = {record["id"]: record for record in after["annotations"]}
    assert records[31] == {**before["annotations"][0], "category_id": 9}  # same mask: polygons, area, attributes stay
    assert records[32] == before["annotations"][1]
    assert records[40] == before["annotations"][2]
    assert set(records) == {31, 32, 40, 41}


def test_with_polygons_masks_without_holes_are_polygons_and_equal(folder, open_labels):
    labels = open_labels(as_polygons=True)
    cup = labels.add_class("cup")
    ring = decode_rle(CUP)
    ring[70:80, 120:140] = False
    save(labels, [layer(cup, CUP), layer(cup, encode_rle(ring))])
    solid, with_hole = on_disk(folder)["annotations"]
    assert isinstance(solid["segmentation"], list)
    coco = COCO(folder / "annotations.json")
    np.testing.assert_array_equal(coco.annToMask(solid), decode_rle(CUP))
    np.testing.assert_array_equal(coco.annToMask(with_hole), ring)


def test_a_change_made_on_an_older_revision_is_refused(labels):
    cup = labels.add_class("cup")
    save(labels, [layer(cup, CUP)])
    with pytest.raises(ChangedElsewhereError, match=r"coffee.jpg was changed in another window"):
        labels.save(COFFEE, HW, Change(), "in work", [layer(cup, SPOON)])
    assert labels.part(COFFEE).count == 1


def test_a_change_whose_answer_was_lost_is_followed_by_the_next(labels):
    cup = labels.add_class("cup")
    labels.save(COFFEE, HW, Change("", "first"), "in work", [layer(cup, CUP)])
    labels.save(COFFEE, HW, Change("", "second", ("zeroth", "first")), "done", [layer(cup, SPOON)])
    assert states(labels)[COFFEE] == ("done", 1)
    with pytest.raises(ChangedElsewhereError):  # another window's, without a name
        labels.save(COFFEE, HW, Change("", "third", ("", "first")), "done", [layer(cup, SPOON)])


def test_changes_of_another_program_are_taken_over(labels, folder):
    cup = labels.add_class("cup")
    save(labels, [layer(cup, CUP)], name=CHELSEA)
    version = labels.version
    edit_file(folder, lambda content: content["categories"].append({"id": 77, "name": "table"}))
    edit_file(folder, lambda content: content["annotations"].clear())
    save(labels, [layer(77, CUP)])
    assert states(labels)[CHELSEA] == ("in work", 0)
    assert states(labels)[COFFEE] == ("in work", 1)
    photos, classes_changed = labels.changes(version)
    assert {photo.name for photo in photos} == {COFFEE, CHELSEA}
    assert classes_changed


def test_a_photo_that_another_program_changed_too_is_not_overwritten(labels, folder):
    cup = labels.add_class("cup")
    revision = save(labels, [layer(cup, CUP)]).revision
    edit_file(folder, lambda content: content["annotations"][0].update(note="mine"))
    with pytest.raises(ChangedElsewhereError):
        labels.save(COFFEE, HW, Change(revision), "in work", [layer(cup, SPOON)])
    assert on_disk(folder)["annotations"][0]["note"] == "mine"


def test_a_file_made_unreadable_by_another_program_is_left_alone(labels, folder):
    cup = labels.add_class("cup")
    (folder / "annotations.json").write_text("{half of a fi")
    with pytest.raises(NotSavedError, match=r"another program has changed annotations.json: .* nothing was saved"):
        save(labels, [layer(cup, CUP)])
    assert (folder / "annotations.json").read_text() == "{half of a fi"


def test_a_deleted_file_is_written_again(labels, folder):
    cup = labels.add_class("cup")
    save(labels, [layer(cup, CUP)], name=CHELSEA)
    (folder / "annotations.json").unlink()
    save(labels, [layer(cup, CUP)])
    assert len(on_disk(folder)["annotations"]) == 2


def test_a_full_disk_is_said_and_nothing_is_lost(labels, folder, monkeypatch):
    cup = labels.add_class("cup")
    save(labels, [layer(cup, CUP)])
    before = on_disk(folder)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
        with pytest.raises(NotSavedError, match=r"annotations.json cannot be written: the disk is full"):
            save(labels, [layer(cup, SPOON)])
    assert on_disk(folder) == before
    assert [path.name for path in folder.glob(".*.annotations.json")] == []
    save(labels, [layer(cup, SPOON)])  # there is room again
    assert on_disk(folder)["annotations"][0]["bbox"] == [400, 200, 30, 20]


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be made read-only by their mode")
def test_a_read_only_folder_is_said_at_the_start(folder, monkeypatch):
    from filelock import FileLock

    def refuse(self, **_):
        raise PermissionError(errno.EACCES, "Permission denied")

    if os.geteuid() == 0:  # may write anywhere
        monkeypatch.setattr(FileLock, "acquire", refuse)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(LabelFileError, match=r"cannot be written \(Permission denied\); give --annotations"):
            LabelStore(PhotoFolder(folder), folder / "annotations.json")
    finally:
        folder.chmod(0o755)


def test_a_second_program_on_the_folder_is_refused(labels, folder):
    with pytest.raises(LabelFileError, match="is open in another repvit-sam label"):
        LabelStore(PhotoFolder(folder), folder / "annotations.json")


def test_classes_are_added_once_and_get_colours_of_their_own(labels):
    assert labels.add_class("cup") == labels.add_class(" cup ")
    labels.add_class("spoon")
    assert len({category["colour"] for category in labels.classes()}) == 2
    with pytest.raises(RequestError, match="a class needs a name"):
        labels.add_class("  ")


def test_a_class_can_be_renamed_and_recoloured_and_keeps_its_id(labels, folder):
    cup = labels.add_class("cup")
    labels.change_class(cup, "mug", "#0a0b0c")
    assert labels.classes() == [{"id": cup, "name": "mug", "colour": "#0a0b0c"}]
    assert on_disk(folder)["categories"] == [{"id": cup, "name": "mug", "color": [10, 11, 12]}]
    labels.add_class("cup")
    with pytest.raises(RequestError, match="there is a class 'cup' already; choose another name"):
        labels.change_class(cup, "cup", "#0a0b0c")


def test_a_class_in_use_is_not_removed(labels):
    cup, spoon = labels.add_class("cup"), labels.add_class("spoon")
    save(labels, [layer(cup, CUP), layer(cup, SPOON)])
    with pytest.raises(RequestError, match="'cup' has 2 objects in 1 photo; give them another class first"):
        labels.remove_class(cup)
    labels.remove_class(spoon)
    assert [category["name"] for category in labels.classes()] == ["cup"]
    with pytest.raises(RequestError, match="of a class that does not exist any more"):
        save(labels, [layer(spoon, CUP)])


def test_an_empty_mask_is_refused(labels):
    with pytest.raises(RequestError, match="has no pixels"):
        save(labels, [layer(labels.add_class("cup"), rectangle(HW, 0, 0, 0, 0))])


def test_many_windows_at_once_lose_nothing(labels, folder):
    cup = labels.add_class("cup")

    def label(name, size):
        for number in range(1, 6):
            save(labels, [layer(cup, rectangle(HW, size, size, number, 1))], name=name)

    threads = [threading.Thread(target=label, args=(f"{name}.jpg", 10)) for name in PHOTO_HW]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = on_disk(folder)
    assert sorted(image["file_name"] for image in content["images"]) == sorted(f"{name}.jpg" for name in PHOTO_HW)
    assert [record["area"] for record in content["annotations"]] == [5] * len(PHOTO_HW)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2", "is not JSON"),
        ("[" * 100_000, "more than 64 levels"),
        ("[]", "it is a list"),
        ('{"images": 3}', "images must be a list of records"),
        ('{"images": [{"file_name": "a.jpg"}]}', "in images, every record needs an id"),
        ('{"images": [{"id": 1}]}', "in images, record 1 has no file_name"),
        ('{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}', "two records have the id 1"),
        ('{"annotations": [{"id": 1, "image_id": 4}]}', "annotation 1 belongs to no image"),
        ('{"annotations": [{"id": 1, "image_id": [4]}]}', "annotation 1 belongs to no image"),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"id": 1, "image_id": 1, "category_id": 2}]}',
            "annotation 1 is of a category that the file does not list",
        ),
    ],
)
def test_a_file_that_cannot_be_kept_whole_is_refused(content, message):
    with pytest.raises(LabelFileError, match=message):
        parse_document(content.encode(), "labels.json")


def test_photos_with_hundreds_of_objects_keep_all_of_them_and_their_ids(folder, open_labels):
    triangle = [[10, 10, 60, 12, 40, 80]]
    annotations = [
        {"id": number, "image_id": 1, "category_id": 1, "segmentation": triangle} for number in range(1, 451)
    ]
    images = [{"id": 1, "file_name": COFFEE, "height": HW[0], "width": HW[1]}]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cup"}]}
    (folder / "annotations.json").write_text(json.dumps(content))
    labels = open_labels()
    for _ in range(2):
        shown, kept = split_annotations(labels.part(COFFEE).annotations(), HW)
        assert kept == []
        save(labels, [layer(1, rle, record["id"]) for record, rle in shown])
    assert [record["id"] for record in on_disk(folder)["annotations"]] == list(range(1, 451))


def test_masks_without_a_pixel_stay_in_the_file_and_do_not_stop_a_save(folder, open_labels):
    content = other_tool_file(folder)
    content["annotations"][1]["segmentation"] = [[10, 10, 10.2, 10, 10.2, 10.2]]
    (folder / "annotations.json").write_text(json.dumps(content))
    labels = open_labels()
    shown, kept = split_annotations(labels.part(COFFEE).annotations(), HW)
    assert [record["id"] for record in kept] == [32]
    save(labels, [layer(5, rle, record["id"]) for record, rle in shown])
    assert 32 in {record["id"] for record in on_disk(folder)["annotations"]}


def test_a_record_of_a_photo_that_is_not_here_is_not_taken_for_one_of_the_same_name(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "1.jpg").touch()
    images = [{"id": number, "file_name": f"{part}/1.jpg"} for number, part in enumerate(("train", "val"), 1)]
    (tmp_path / "labels.json").write_text(json.dumps({"images": images}))
    labels = LabelStore(PhotoFolder(tmp_path), tmp_path / "labels.json")
    assert labels.part("train/1.jpg").image_id == 1
    assert labels.not_here == 1
    labels.close()


def test_an_id_that_another_program_has_taken_is_not_given_twice(labels, folder):
    cup = labels.add_class("cup")
    (first,) = save(labels, [layer(cup, CUP)]).annotations
    save(labels, [], name=CHELSEA)
    save(labels, [])

    def take(content):
        (image,) = [image for image in content["images"] if image["file_name"] == CHELSEA]
        record = {"id": first, "image_id": image["id"], "category_id": cup, "segmentation": CUP, "area": 1, "bbox": []}
        content["annotations"].append(record)

    edit_file(folder, take)
    save(labels, [layer(cup, CUP, first)])  # the deletion is undone
    parse_document((folder / "annotations.json").read_bytes(), "labels")
    assert len(on_disk(folder)["annotations"]) == 2


def test_the_id_of_a_class_that_was_removed_is_not_given_to_another(labels):
    labels.add_class("cup")
    cat = labels.add_class("cat")
    labels.remove_class(cat)
    assert labels.add_class("dog") != cat


def test_the_only_class_stays(labels):
    cup = labels.add_class("cup")
    with pytest.raises(RequestError, match="'cup' is the only class; add another one first"):
        labels.remove_class(cup)


@pytest.mark.parametrize("colour", [5, "red", [1, 2], [300, 0, 0], None])
def test_colours_of_another_form_are_replaced(folder, open_labels, colour):
    (folder / "annotations.json").write_text(json.dumps({"categories": [{"id": 1, "name": "a", "color": colour}]}))
    labels = open_labels()
    labels.add_class("b")
    assert len({each["colour"] for each in labels.classes()}) == 2
