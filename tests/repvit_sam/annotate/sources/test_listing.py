"""Sources of every kind -> their images, and the bytes of these."""

import io
import json
import os
import tarfile

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem

from repvit_sam.annotate.sources import listing
from repvit_sam.annotate.sources.files import ImageReader
from repvit_sam.annotate.sources.listing import Source, list_source
from repvit_sam.annotate.sources.store import Store
from repvit_sam.errors import PhotoError, PromptError

from ..conftest import save_photo


def images_of(address, **options):
    return list(list_source(Source(str(address), **options)).images)


def names_of(address, **options):
    return [image.name for image in images_of(address, **options)]


def assert_read(images, path):
    """Every image has the bytes of the file."""
    reader = ImageReader()
    assert [reader.read(image) for image in images] == [path.read_bytes()] * len(images)


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def photo(tmp_path):
    return save_photo(tmp_path / "photo.jpg")


@pytest.fixture
def tree(tmp_path, photo):
    """b.jpg, a/c.PNG, a/deep/d.webp and a text."""
    for name in ("b.jpg", "a/c.PNG", "a/deep/d.webp", "a/notes.txt"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(photo.read_bytes())
    return tmp_path / "tree"


def test_a_folder_is_searched_with_all_its_folders_and_sorted(tree, photo):
    images = images_of(tree)
    assert [image.name for image in images] == ["a/c.PNG", "a/deep/d.webp", "b.jpg"]
    assert all(image.size == photo.stat().st_size and image.version for image in images)
    assert_read(images, photo)
    assert names_of(tree, leave_out=tree / "a") == ["b.jpg"]


def test_a_pattern_names_images_from_its_first_folder_without_signs(tree, photo):
    assert names_of(tree / "a" / "*" / "*.webp") == ["deep/d.webp"]
    assert names_of(tree / "**" / "*.PNG") == ["a/c.PNG"]
    assert_read(images_of(tree / "*.jpg"), photo)


def test_an_image_that_is_a_link_is_read_where_it_leads(tree, tmp_path, photo):
    os.utime(photo, (1, 1))  # the link is younger
    (tree / "a" / "link.jpg").symlink_to(photo)
    (tree / "a" / "lost.jpg").symlink_to(tmp_path / "none.jpg")
    for source in (tree / "a", tree / "a" / "*"):
        images = {image.name: image for image in images_of(source)}
        assert_read([images["link.jpg"]], photo)
        assert images["lost.jpg"].refused == "it cannot be read: No such file or directory"
    assert_read(images_of(tree / "a" / "link.jpg"), photo)


def test_a_folder_that_is_a_link_is_followed_once_and_never_round(tree, tmp_path, photo):
    for name in ("far/1.jpg", "far/in/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(photo.read_bytes())
    links = {"a/far": "far", "a/again": "far/in", "a/up": "tree", "a/top": ".", "z": "tree/a", "far/back": "far"}
    for name, target in links.items():
        (tmp_path / (name if name.startswith("far") else f"tree/{name}")).symlink_to(tmp_path / target)
    images = images_of(tree)
    assert [image.name for image in images] == ["a/again/2.jpg", "a/c.PNG", "a/deep/d.webp", "a/far/1.jpg", "b.jpg"]
    assert_read(images, photo)


def test_images_of_a_folder_are_sorted_as_whole_paths_are(tmp_path, photo):
    names = ["a/1.jpg", "a-b/1.jpg", "a.jpg", "a0/1.jpg", "A/1.jpg", "a/b/1.jpg", "a/b.jpg", "ä/1.jpg"]
    for name in names:
        save_photo(tmp_path / "many" / name)
    assert names_of(tmp_path / "many") == sorted(names)


def test_what_is_neither_file_nor_readable_folder_is_a_failed_image(tree, monkeypatch):
    os.mkfifo(tree / "pipe.jpg")
    scandir = os.scandir

    def refuse(folder):
        if folder.endswith("/deep"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert {image.name: image.refused for image in images_of(tree) if image.refused} == {
        "a/deep": "the folder cannot be read: Permission denied",
        "pipe.jpg": "it is no file",
    }


@pytest.mark.parametrize("pattern", ["", "/**/*.*"])
def test_a_source_is_the_same_by_every_spelling(tree, tmp_path, monkeypatch, pattern):
    monkeypatch.chdir(tree / "a")
    (tmp_path / "link").symlink_to(tree)
    sources = [
        Source(f"{folder}{pattern}") for folder in (tree, "..", "../../tree", tmp_path / "link", f"file://{tree}")
    ]
    for source in sources:
        assert source.full_address == f"{tree}{pattern}"
        assert list(list_source(source).images) == images_of(sources[0].address)
        left_out = [image.name for image in images_of(source.address, leave_out=tmp_path / "link" / "a" / ".." / "a")]
        assert left_out == ["b.jpg"]


def test_a_prompt_files_images_are_the_same_by_every_spelling(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tree / "a")
    content = {"images": [{"id": 1, "file_name": "b.jpg"}], "annotations": [], "categories": []}
    (tree / "file.json").write_text(json.dumps(content))
    assert images_of("../file.json") == images_of(tree / "file.json") == images_of(tree / "file.json", images="..")


def test_a_pattern_without_a_folder_names_images_by_their_whole_paths(tree, monkeypatch):
    buckets = DirFileSystem(str(tree), fsspec.filesystem("file"))  # its paths begin with a bucket, as those of s3 do
    monkeypatch.setattr(listing, "open_source", lambda address: (Store(buckets), address.removeprefix("s3://")))
    assert names_of("s3://?/*.PNG") == ["a/c.PNG"]


def test_one_file_is_a_source(photo):
    assert names_of(photo) == ["photo.jpg"]


def test_a_list_is_relative_to_itself_and_says_what_is_missing(tree, photo):
    (tree / "list.txt").write_text(f"# mine\nb.jpg\n\na/c.PNG\n{tree}/a/deep/d.webp\na/none.jpg\na/notes.txt\n")
    images = images_of(tree / "list.txt")
    assert [image.name for image in images] == ["b.jpg", "a/c.PNG", "a/deep/d.webp", "a/none.jpg", "a/notes.txt"]
    assert_read(images[:3], photo)
    assert images[3].refused.endswith("a/none.jpg does not exist")
    assert images[4].refused == "it is no image by its name"
    (tree / "list.txt").write_text("a\n")
    with pytest.raises(ValueError, match=r"lists the folder .*/a; expected images, .tar and .parquet files"):
        images_of(tree / "list.txt")


def test_tars_are_read_in_place_and_no_member_leads_out(tmp_path, photo):
    data = photo.read_bytes()
    members = {"./sa_1.jpg": data, "./sa_1.json": b"{}", "deep/2.jpg": data, "../../out.jpg": data, "/etc/x.jpg": data}
    write_tar(tmp_path / "part-0.tar", members)
    write_tar(tmp_path / "part-1.tar", {"9.jpg": data})
    images = images_of(tmp_path / "part-*.tar")
    assert [image.name for image in images] == [
        *("part-0/sa_1.jpg", "part-0/deep/2.jpg", "part-0/../../out.jpg", "part-0//etc/x.jpg", "part-1/9.jpg")
    ]
    assert_read([images[0], images[1], images[4]], photo)
    for image in images[2:4]:
        with pytest.raises(PhotoError, match="its name leads out of the folder of results"):
            ImageReader().read(image)
    assert {path.name for path in tmp_path.iterdir()} == {"photo.jpg", "part-0.tar", "part-1.tar"}


def test_what_is_cut_off_a_tar_is_a_failed_image_and_a_changed_tar_is_not_read(tmp_path, photo):
    data = photo.read_bytes()
    path = write_tar(tmp_path / "part.tar", {"1.jpg": data, "2.jpg": data})
    with tarfile.open(path) as tar:
        second = tar.getmember("2.jpg")
    path.write_bytes(path.read_bytes()[: second.offset_data + 100])
    images = images_of(path)
    assert [(image.name, bool(image.refused)) for image in images] == [("part/1.jpg", False), ("part.tar/2.jpg", True)]
    write_tar(path, {"0.jpg": data, "1.jpg": data})
    with pytest.raises(PhotoError, match="its file was changed after the source was listed"):
        ImageReader().read(images[0])


def test_an_image_that_is_gone_or_was_written_again_is_not_read(tree):
    first, second, _ = images_of(tree)
    (tree / "a" / "c.PNG").unlink()
    save_photo(tree / "a" / "deep" / "d.webp", size=(7, 5))
    with pytest.raises(PhotoError, match="it is gone: it was there when the source was listed"):
        ImageReader().read(first)
    with pytest.raises(PhotoError, match="its file was changed after the source was listed"):
        ImageReader().read(second)


@pytest.mark.parametrize("kind", ["bytes", "struct", "paths"])
def test_parquet_has_bytes_or_paths(tree, tmp_path, photo, kind):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    data = photo.read_bytes()
    columns = {
        "bytes": {"jpg": [data] * 5, "key": [f"k{number}" for number in range(5)]},
        "struct": {"image": [{"bytes": data, "path": f"k{number}"} for number in range(5)], "label": [1] * 5},
        "paths": {"path": ["b.jpg", "a/c.PNG", "none.jpg"], "size": [1, 2, 3]},
    }[kind]
    parquet.write_table(pyarrow.table(columns), tree / "table.parquet", row_group_size=2)
    images = images_of(tree / "table.parquet")
    if kind == "paths":
        assert [image.name for image in images] == ["table/b.jpg", "table/a/c.PNG", "table/none.jpg"]
        assert images.pop().refused.endswith("none.jpg does not exist")
    else:
        assert [image.name for image in images] == [f"table/k{number}" for number in range(5)]
    assert_read(images, photo)


def test_rows_whose_names_repeat_are_named_by_another_column_or_their_number(tmp_path, photo):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"jpg": [photo.read_bytes()] * 3, "image_id": [7, 8, 7]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "table.parquet", row_group_size=2)
    assert names_of(tmp_path / "table.parquet") == [f"table/0000000{row}" for row in range(3)]
    parquet.write_table(pyarrow.table({**columns, "name": ["x"] * 3, "key": list("abc")}), tmp_path / "table.parquet")
    assert names_of(tmp_path / "table.parquet") == ["table/a", "table/b", "table/c"]


def test_parquet_without_images_is_refused_with_its_columns(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": [1], "b": ["x"]}), tmp_path / "table.parquet")
    with pytest.raises(ValueError, match=r"table.parquet has no column of images: expected bytes in .*, got a, b"):
        images_of(tmp_path / "table.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(ValueError, match=r"text.parquet is no Parquet file"):
        images_of(tmp_path / "text.parquet")


def test_any_file_system_of_fsspec_is_a_source(photo, tmp_path):
    memory = fsspec.filesystem("memory")
    write_tar(tmp_path / "part.tar", {"1.jpg": photo.read_bytes()})
    for name, path in (("x/one.jpg", photo), ("x/y/two.jpg", photo), ("x/part.tar", tmp_path / "part.tar")):
        memory.pipe(f"/photos/{name}", path.read_bytes())
    images = images_of("memory://photos")
    assert [image.name for image in images] == ["x/one.jpg", "x/part/1.jpg", "x/y/two.jpg"]
    assert images[0].path == "memory:///photos/x/one.jpg"
    assert_read(images, photo)
    assert_read(images_of(f"file://{photo}"), photo)
    memory.rm("/photos", recursive=True)
    with pytest.raises(PhotoError, match="it is gone"):
        ImageReader().read(images[0])


def test_a_detectors_results_are_read_with_the_list_of_images(tree, tmp_path, photo):
    results = [{"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}]
    listed = {
        "images": [{"id": 7, "file_name": "b.jpg", "height": 40, "width": 60}, {"id": 8, "file_name": "../x.jpg"}],
        "categories": [{"id": 2, "name": "cup"}],
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    (tmp_path / "listed.json").write_text(json.dumps(listed))
    options = {"images": str(tree), "annotations": tmp_path / "listed.json"}
    listing = list_source(Source(str(tmp_path / "results.json"), **options))
    refused, image = listing.images
    assert (image.name, image.image_id, image.photo_hw) == ("b.jpg", 7, (40, 60))
    assert [(box.category_id, box.score, box.box_xywh) for box in image.boxes] == [(2, 0.5, (1, 2, 3, 4))]
    assert refused.refused == "its name leads out of the folder of results"
    assert listing.categories == {2: "cup"}
    with pytest.raises(PromptError, match="has boxes only; expected a whole COCO file, or --use boxes"):
        images_of(tmp_path / "results.json", use="points", **options)


@pytest.mark.parametrize(
    ("use", "fields", "words"),
    [
        ("keypoints", '"keypoints": [1, 2, 2, 3]', "expected x, y and visibility for each, got 4 numbers"),
        ("points", '"point_coords": [[1, 2]], "point_labels": [Infinity]', "OverflowError"),
        ("points", '"point_coords": [[1, 2]], "score": [1]', "TypeError"),
    ],
)
def test_points_that_are_no_points_are_refused_in_a_sentence(tmp_path, use, fields, words):
    row = f'{{"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], {fields}}}'
    listed = f'{{"images": [{{"id": 1, "file_name": "b.jpg"}}], "annotations": [{row}], "categories": []}}'
    (tmp_path / "file.json").write_text(listed)
    with pytest.raises(PromptError, match=f"(annotation 5 are not as in COCO's format|results list).*{words}"):
        images_of(tmp_path / "file.json", use=use)


@pytest.mark.parametrize(
    ("address", "options", "words"),
    [
        ("none", {}, r"none does not exist; expected a folder, a 'pattern\*'"),
        ("tree/a/notes.md", {}, "notes.md is of no known kind"),
        ("empty", {}, r"empty holds no image \(looked for .jpg"),
        ("tree/*.gif", {}, "holds no image"),
        ("nowhere://x", {}, "nowhere://x is no path and no address that can be opened"),
        ("tree", {"images": "x"}, "--images and --annotations go with a .json of prompts"),
        ("tree", {"use": "words"}, "--use must be one of boxes, points, keypoints, none, got 'words'"),
    ],
)
def test_what_is_no_source_is_refused_in_a_sentence(tree, tmp_path, address, options, words):
    (tmp_path / "empty").mkdir()
    (tree / "a" / "notes.md").write_text("x")
    with pytest.raises(ValueError, match=words):
        images_of(address if "://" in address else tmp_path / address, **options)
