"""Every form gives back the masks that it was given."""

import json

import numpy as np
import pytest
from PIL import Image

from repvit_sam.annotate.forms.choice import FORMS, find_form
from repvit_sam.annotate.image_masks import ImageMasks, MaskRecord
from repvit_sam.annotate.results import Results, finish_results
from repvit_sam.masks import coco_bbox
from repvit_sam.rle import decode_rle, encode_rle

PHOTO_HW = (20, 30)


def mask_record(rows, columns, photo_hw=PHOTO_HW, **fields):
    mask = np.zeros(photo_hw, bool)
    mask[rows, columns] = True
    return MaskRecord(encode_rle(mask), int(mask.sum()), tuple(coco_bbox(mask)), 0.8765, **fields)


def some_images():
    """Masks side by side from everything mode, from a box, from points; an image without any; a name with an accent."""
    first = mask_record(slice(0, 5), slice(0, 9), stability=0.9312, points=((3.5, 2.25, 1),))
    box = mask_record(slice(6, 9), slice(2, 30), category_id=7, score=0.5, box_xyxy=(2.0, 6.0, 30.0, 9.0))
    points = mask_record(slice(12, 20), slice(4, 5), category_id=7, score=1.0, points=((4.0, 13.0, 1), (9.0, 1.0, 0)))
    return [
        ImageMasks(1, "a/one.jpg", "a/one", PHOTO_HW, (box, points, first)),
        ImageMasks(4, "b/zwei ä.jpg", "b/zwei ä", (11, 7), ()),
        ImageMasks(9, "c.jpg", "c", PHOTO_HW, (first,)),
    ]


def write(folder, form, images, each=2):
    """As a run does, some images a shard."""
    shards = range(0, len(images), each)
    for shard, start in enumerate(shards):
        writer = find_form(form).writer(folder, shard)
        for image in images[start : start + each]:
            writer.add(image)
        writer.close()
    finish_results(Results(folder, form, len(images), 0, {7: "cup"}), len(shards))
    return list(find_form(form).read(folder))


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read_again(tmp_path, form):
    images = some_images()
    if form == "png":  # sorted by area
        images[0] = ImageMasks(1, "a/one.jpg", "a/one", PHOTO_HW, (images[0].masks[0], *images[0].masks[:0:-1]))
    assert write(tmp_path, form, images) == images


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_a_result_too(tmp_path, form):
    tmp_path.joinpath("x").mkdir()
    assert write(tmp_path / "x", form, []) == []


def test_coco_is_one_file_of_plain_json(tmp_path):
    write(tmp_path, "coco", some_images())
    content = json.loads((tmp_path / "annotations.json").read_bytes())
    assert [row["id"] for row in content["annotations"]] == [1, 2, 3, 4]
    assert [row["image_id"] for row in content["annotations"]] == [1, 1, 1, 9]
    assert content["categories"] == [{"id": 7, "name": "cup"}]
    assert not (tmp_path / "shards").exists()


def test_label_maps_show_the_smaller_of_two_masks_and_have_16_bits_where_they_must(tmp_path):
    large, small = mask_record(slice(0, 10), slice(0, 10)), mask_record(slice(2, 4), slice(2, 4))
    hw = (1, 300)
    many = tuple(mask_record(0, column, hw) for column in range(300))
    images = [ImageMasks(1, "a.jpg", "a", PHOTO_HW, (small, large)), ImageMasks(2, "b.jpg", "b", hw, many)]
    seen, all_of_many = write(tmp_path, "png", images)
    labels = np.asarray(Image.open(tmp_path / "masks" / "a.png"))
    assert labels.dtype == np.uint8
    assert (labels[0, 0], labels[3, 3], labels[19, 0]) == (1, 2, 0)
    assert seen.masks[0].area == 100 - 4
    assert seen.masks[1] == small
    deep = np.asarray(Image.open(tmp_path / "masks" / "b.png"))
    assert deep.max() == 300
    assert deep.dtype.itemsize > 1
    assert {decode_rle(mask.rle).argmax() for mask in all_of_many.masks} == set(range(300))


def test_a_mask_that_others_cover_is_not_read_from_a_label_map(tmp_path):
    below = mask_record(slice(0, 2), slice(0, 2))
    above = [mask_record(row, slice(0, 2)) for row in (0, 1)]
    (image,) = write(tmp_path, "png", [ImageMasks(1, "a.jpg", "a", PHOTO_HW, (below, *above))])
    assert image.masks == tuple(above)


def test_parquet_is_read_by_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    write(tmp_path, "parquet", some_images())
    table = pandas.read_parquet(tmp_path / "masks-00000.parquet")
    assert list(table.file_name) == ["a/one.jpg", "b/zwei ä.jpg"]
    masks = pandas.json_normalize(table.explode("masks").masks.dropna())
    assert list(masks.area) == [84, 8, 45]


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="--format must be one of coco, parquet, png, sa1b, got 'yolo'"):
        find_form("yolo")
