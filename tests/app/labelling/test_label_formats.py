import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from repvit_sam.app.labelling.label_formats import export_files, one_loop
from repvit_sam.app.labelling.label_store import Change
from repvit_sam.app.shapes import loops_of, mask_of_loops
from repvit_sam.rle import decode_rle, encode_rle

from .conftest import PHOTO_HW, layer, rectangle

HW = PHOTO_HW["coffee"]


def two_rings():
    """A mask in two parts, one of them with a hole."""
    mask = np.zeros(HW, dtype=np.uint8)
    cv2.circle(mask, (150, 150), 80, 1, -1)
    cv2.circle(mask, (160, 150), 30, 0, -1)
    cv2.circle(mask, (400, 200), 40, 1, -1)
    return mask.astype(bool)


@pytest.fixture
def labelled(labels):
    """Coffee has a rectangle under two rings; chelsea is done and has nothing."""
    cup, ring = labels.add_class("cup"), labels.add_class("a ring: \u2126")
    layers = [layer(cup, rectangle(HW, 100, 50, 80, 60)), layer(ring, encode_rle(two_rings()))]
    labels.save("coffee.jpg", HW, Change(), "done", layers)
    labels.save("chelsea.jpg", PHOTO_HW["chelsea"], Change(), "done", [])
    return labels


def files(store, kind):
    return dict(export_files(store, kind))


def read_yolo(text, photo_hw):
    """One filled polygon a line."""
    height, width = photo_hw
    for line in text.splitlines():
        class_index, *numbers = line.split()
        corners = np.array(numbers, dtype=float).reshape(-1, 2) * [width, height]
        assert ((corners >= 0) & (corners <= [width, height])).all()
        (rle,) = coco_mask.frPyObjects([corners.ravel().tolist()], height, width)
        yield int(class_index), coco_mask.decode(rle).astype(bool)


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_yolos_polygons_give_the_masks_back(labelled):
    exported = files(labelled, "yolo")
    assert exported["labels/chelsea.txt"] == b""
    (first, square), (second, rings) = read_yolo(exported["labels/coffee.txt"].decode(), HW)
    assert (first, second) == (0, 1)
    assert iou(square, decode_rle(rectangle(HW, 100, 50, 80, 60))) > 0.99
    assert iou(rings, two_rings()) > 0.99  # in two parts, with the hole
    assert '1: "a ring: \u2126"' in exported["data.yaml"].decode()


def test_several_loops_become_one_that_encloses_the_same():
    loop = one_loop(loops_of(two_rings(), 0))
    np.testing.assert_array_equal(mask_of_loops([loop], HW), two_rings())


def test_a_mask_of_one_pixel_has_a_polygon(labels):
    labels.save("coffee.jpg", HW, Change(), "done", [layer(labels.add_class("dot"), rectangle(HW, 5, 6, 1, 1))])
    assert len(files(labels, "yolo")["labels/coffee.txt"].split()) >= 7


def test_label_maps_hold_the_number_of_the_uppermost_class(labelled):
    exported = files(labelled, "png")
    assert exported["classes.txt"].decode() == "cup\na ring: \u2126\n"
    values = np.array(Image.open(io.BytesIO(exported["coffee.png"])))
    expected = np.zeros(HW, dtype=np.uint8)
    expected[decode_rle(rectangle(HW, 100, 50, 80, 60))] = 1
    expected[two_rings()] = 2
    np.testing.assert_array_equal(values, expected)
    assert not np.array(Image.open(io.BytesIO(exported["chelsea.png"]))).any()


def test_more_classes_than_eight_bits_hold_are_kept(labels):
    ids = [labels.add_class(f"class {number}") for number in range(300)]
    labels.save("coffee.jpg", HW, Change(), "done", [layer(ids[-1], rectangle(HW, 5, 6, 10, 10))])
    values = np.array(Image.open(io.BytesIO(files(labels, "png")["coffee.png"])))
    assert values.max() == 300


def test_photos_that_differ_in_their_ending_alone_get_files_of_their_own(labels, folder):
    (folder / "coffee.png").touch()
    labels.folder.scan()
    labels.save("coffee.jpg", HW, Change(), "done", [])
    labels.save("coffee.png", HW, Change(), "done", [])
    assert {"labels/coffee.jpg.txt", "labels/coffee.png.txt"} < set(files(labels, "yolo"))


def test_pascal_voc_has_classes_and_objects_in_its_own_colours(labelled):
    exported = files(labelled, "voc")
    classes = Image.open(io.BytesIO(exported["SegmentationClass/coffee.png"]))
    objects = np.array(Image.open(io.BytesIO(exported["SegmentationObject/coffee.png"])))
    assert classes.mode == "P"
    assert classes.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]  # the development kit's
    assert set(np.unique(objects)) == {0, 1, 2}
    assert exported["ImageSets/Segmentation/trainval.txt"] == b"chelsea\ncoffee\n"
    assert exported["labelmap.txt"].decode().splitlines()[1] == "1: cup"


def test_coco_is_the_file_itself_and_polygons_where_they_can_say_it(labelled, tmp_path):
    assert files(labelled, "coco")["annotations.json"] == labelled.path.read_bytes()
    content = files(labelled, "coco-polygons")["annotations.json"]
    square, rings = json.loads(content)["annotations"]
    assert isinstance(square["segmentation"], list)
    assert isinstance(rings["segmentation"], dict)  # it has a hole
    (tmp_path / "polygons.json").write_bytes(content)
    coco = COCO(tmp_path / "polygons.json")
    np.testing.assert_array_equal(coco.annToMask(square), decode_rle(rectangle(HW, 100, 50, 80, 60)))
    np.testing.assert_array_equal(coco.annToMask(rings), two_rings())
