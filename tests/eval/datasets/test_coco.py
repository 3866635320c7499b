import pytest

from repvit_sam.eval.datasets.coco import CocoFolder

from ..discs import disc_folder, edit_annotations


@pytest.fixture
def folder(tmp_path, formula_photo):
    return disc_folder(tmp_path, formula_photo)


def numbers(folder, **choices):
    return [instance.annotation_id for instance in CocoFolder(folder, **choices)[0].instances]


def test_crowds_and_small_instances_are_left_out(folder):
    assert numbers(folder) == [1, 2]
    assert numbers(folder, min_area=1024) == [1]
    assert numbers(folder, crowds=True) == [1, 2, 3]
    assert CocoFolder(folder, min_area=1024).instances == 1


def test_an_instance_has_its_mask_its_area_and_its_box(folder):
    instance = CocoFolder(folder)[0].instances[0]
    assert instance.mask.sum() == instance.area
    assert instance.box == (101, 61, 200, 160)


def test_photos_are_found_by_place_and_by_key(folder):
    photos = CocoFolder(folder)
    assert photos.keys == ("7",)
    assert photos.by_key("7").path == photos[0].path == folder / "images" / "photo.png"
    assert photos.entry("7")["width"] == 301


def test_photos_may_lie_beside_the_annotations(folder):
    (folder / "images" / "photo.png").rename(folder / "photo.png")
    (folder / "images").rmdir()
    assert CocoFolder(folder)[0].path == folder / "photo.png"


def test_lvis_has_no_crowds_and_names_photos_by_url(folder, tmp_path):
    def as_lvis(content):
        for image in content["images"]:
            image["coco_url"] = f"http://images.cocodataset.org/val2017/{image.pop('file_name')}"
        for annotation in content["annotations"]:
            del annotation["iscrowd"]

    edit_annotations(folder, as_lvis)
    (folder / "images").rename(folder / "val2017")
    photos = CocoFolder(None, images=folder, annotations=folder / "annotations.json")
    assert [instance.annotation_id for instance in photos[0].instances] == [1, 2, 3]


def test_an_instance_without_a_pixel_is_left_out(folder):
    def thin(content):
        content["annotations"][1]["segmentation"] = [[5.0, 5.0, 5.0, 5.0, 5.0, 5.0]]

    edit_annotations(folder, thin)
    assert numbers(folder) == [1]


def without(key):
    return lambda content: content["annotations"][0].pop(key)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("segmentation"), "annotation 1 of .* has no segmentation"),
        (without("area"), "has no area"),
        (lambda content: content["annotations"][0].update(segmentation=[]), "has no segmentation"),
        (lambda content: content.pop("annotations"), "not in COCO or LVIS format"),
        (lambda content: content["images"][0].update(file_name="other.png"), "photos of annotations.json are not in"),
    ],
)
def test_what_is_missing_is_said_when_the_folder_is_opened(folder, change, words):
    edit_annotations(folder, change)
    with pytest.raises(ValueError, match=words):
        CocoFolder(folder)


def test_boxes_are_required_only_on_demand(folder):
    edit_annotations(folder, without("bbox"))
    assert CocoFolder(folder)[0].instances[0].box is None
    with pytest.raises(ValueError, match="has no bbox"):
        CocoFolder(folder, boxes=True)


def test_annotations_below_the_least_area_are_not_checked(folder):
    edit_annotations(folder, lambda content: content["annotations"][1].pop("segmentation"))
    assert numbers(folder, min_area=1024) == [1]


def test_annotations_of_another_size_are_refused(folder):
    edit_annotations(folder, lambda content: content["images"][0].update(height=230))
    with pytest.raises(ValueError, match="is 301x229, its annotations are of another size"):
        CocoFolder(folder)[0]


def test_no_folder_and_no_files_are_refused(folder):
    with pytest.raises(ValueError, match="both --images and --annotations"):
        CocoFolder(None, images=folder / "images")
    (folder / "annotations.json").unlink()
    with pytest.raises(ValueError, match="is no COCO-format folder"):
        CocoFolder(folder)
