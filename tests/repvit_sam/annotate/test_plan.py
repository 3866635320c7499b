"""Images -> shards on disk."""

import pytest

from repvit_sam.annotate.plan import first_difference, has_plan, read_plan, write_plan
from repvit_sam.annotate.sources.source_image import BoxPrompt, PointsPrompt, SourceImage, unsafe_name


def images(*names, **fields):
    return [SourceImage(name, f"/x/{name}", 10, "1.5", **fields) for name in names]


def test_shards_are_read_one_by_one_as_they_were_planned(tmp_path):
    prompted = SourceImage(
        *("d.jpg", "/x/table.parquet"),
        row=(3, 4),
        column="image.bytes",
        boxes=(BoxPrompt(7, 0.5, (1.0, 2.0, 3.0, 4.0)),),
        points=(PointsPrompt(8, 1.0, ((1.0, 2.0, 1), (3.0, 4.0, 0))),),
        photo_hw=(20, 30),
    )
    plan = write_plan(
        tmp_path, [*images("a.jpg", "b.jpg", "c/ü.jpg"), prompted, *images("../e.jpg", refused="no")], 2, {7: "x"}
    )
    assert (plan.images, plan.shards, plan.categories) == (5, 3, {7: "x"})
    found = [image for shard in (2, 0, 1) for image in read_plan(tmp_path).shard(shard)]
    assert [(image.name, image.image_id, image.stem) for image in found] == [
        *(("../e.jpg", 5, ""), ("a.jpg", 1, "a"), ("b.jpg", 2, "b"), ("c/ü.jpg", 3, "c/ü"), ("d.jpg", 4, "d"))
    ]
    assert (found[4].boxes, found[4].points) == (prompted.boxes, prompted.points)
    assert (found[4].row, found[4].column, found[4].photo_hw) == ((3, 4), "image.bytes", (20, 30))
    assert list(plan.all_images()) == [*found[1:], found[0]]


def test_an_image_whose_output_file_is_taken_keeps_its_ending(tmp_path):
    plan = write_plan(tmp_path, images("a.jpg", "a.png", "A.gif", "a.b.jpg"), 9, {})
    assert [image.stem for image in plan.shard(0)] == ["a", "a.png", "A.gif", "a.b"]
    with pytest.raises(ValueError, match=r"a.PNG and another image would have the same output file; rename one"):
        write_plan(tmp_path, images("a.jpg", "a.png", "a.PNG"), 9, {})


@pytest.mark.parametrize("ending", ["json", "png", "JSON"])
def test_no_output_file_is_where_a_folder_is(tmp_path, ending):
    plan = write_plan(tmp_path, images("a.jpg", f"a.{ending}/b.jpg", f"a.{ending}/b.png", f"c.{ending}/d.jpg"), 9, {})
    assert [image.stem for image in plan.shard(0)] == [
        *("a", f"a.{ending}_/b.jpg", f"a.{ending}_/b.png", f"c.{ending}/d")
    ]
    plan = write_plan(tmp_path, images(f"a.{ending}/b.jpg", "a.jpg"), 9, {})
    assert [image.stem for image in plan.shard(0)] == [f"a.{ending}/b", "a.jpg"]


def test_names_and_numbers_that_clash_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"two images are called a.jpg; each must be listed once"):
        write_plan(tmp_path, images("a.jpg", "b.jpg", "a.jpg"), 9, {})
    with pytest.raises(ValueError, match=r"numbers some of its images, but not b.jpg; number all or none"):
        write_plan(tmp_path, [*images("a.jpg", image_id=4), *images("b.jpg")], 9, {})
    assert not has_plan(tmp_path)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a.jpg", "b.jpg"), None),
        (("a.jpg",), "b.jpg is gone"),
        (("a.jpg", "b.jpg", "c.jpg"), "c.jpg was added"),
        (("a.jpg", "c.jpg"), "image 2 was b.jpg and is c.jpg"),
    ],
)
def test_the_first_difference_of_two_listings_is_named(tmp_path, names, words):
    old = write_plan(tmp_path / "old", images("a.jpg", "b.jpg"), 1, {})
    assert first_difference(old, write_plan(tmp_path / "new", images(*names), 1, {})) == words


def test_an_image_that_was_written_again_is_a_difference(tmp_path):
    old = write_plan(tmp_path / "old", images("a.jpg"), 1, {})
    new = write_plan(tmp_path / "new", [SourceImage("a.jpg", "/x/a.jpg", 10, "1.6")], 1, {})
    assert first_difference(old, new) == "a.jpg was changed"


@pytest.mark.parametrize(
    ("categories", "words"),
    [
        ({1: "cup", 2: "dog"}, None),
        ({1: "mug", 2: "dog"}, "category 1 was cup and is mug"),
        ({1: "cup"}, "category 2 (dog) is gone"),
        ({1: "cup", 2: "dog", 3: "cat"}, "category 3 (cat) was added"),
    ],
)
def test_categories_of_another_name_are_a_difference(tmp_path, categories, words):
    old = write_plan(tmp_path / "old", images("a.jpg"), 1, {1: "cup", 2: "dog"})
    assert first_difference(old, write_plan(tmp_path / "new", images("a.jpg"), 1, categories)) == words


@pytest.mark.parametrize("file", ["plan.json", "plan.index"])
def test_a_damaged_plan_is_named(tmp_path, file):
    write_plan(tmp_path, images("a.jpg"), 1, {})
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(ValueError, match=f"{file} is damaged; give another --out, or delete the folder"):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        *("../a.jpg", "a/../../b.jpg", "/a.jpg", "..\\a.jpg", "C:\\a.jpg", "a\nb.jpg", "", "x" * 300 + ".jpg"),
        *("a/b:c.jpg", "\udcff.jpg", "a/\ud800.jpg"),
    ],
)
def test_no_name_leads_out_of_the_folder(name):
    assert unsafe_name(name)


@pytest.mark.parametrize("name", ["a.jpg", "a/b/c..d.jpg", "ä ö.jpg", "...jpg"])
def test_common_names_are_safe(name):
    assert unsafe_name(name) is None
