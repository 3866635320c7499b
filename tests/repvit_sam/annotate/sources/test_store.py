"""A store whose library has errors of its own: what they become, and which are tried again."""

import io
import tarfile
from collections import Counter
from types import SimpleNamespace
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from repvit_sam.annotate.sources.files import ImageReader
from repvit_sam.annotate.sources.listing import Source, list_source
from repvit_sam.annotate.sources.store import Store, StoreError, StoreUnavailableError, is_of_the_file
from repvit_sam.errors import JobError, PhotoError

from ..conftest import run, save_photo


class QuotaError(Exception):
    """No OSError, and no ValueError."""


class ThrottledError(Exception):
    """As libraries say it: with the status of HTTP."""

    status = 503


class MoodyFileSystem(MemoryFileSystem):
    """In memory. It raises ``errors[method, path]`` where there is one, so often as that says."""

    protocol = "moody"
    cachable = False
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]
    errors: ClassVar = {}
    calls: ClassVar = Counter()

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("moody://", "memory://"))

    def _may_fail(self, method, path):
        path = self._strip_protocol(path)
        self.calls[method, path] += 1
        error, times = self.errors.get((method, path), (None, 0))
        if self.calls[method, path] <= times:
            raise error

    def info(self, path, **options):
        self._may_fail("info", path)
        return super().info(path, **options)

    def find(self, path, **options):
        self._may_fail("find", path)
        return super().find(path, **options)

    def cat_file(self, path, **options):
        self._may_fail("cat_file", path)
        return super().cat_file(path, **options)

    def _open(self, path, mode="rb", **options):
        self._may_fail("open", path)
        stream = super()._open(path, mode, **options)
        return stream if mode != "rb" else _MoodyStream(self, path, stream.getvalue())


class _MoodyStream(io.BytesIO):
    def __init__(self, system, path, data):
        super().__init__(data)
        self._system, self._path = system, path

    def read(self, size=-1):
        self._system._may_fail("read", self._path)
        return super().read(size)


class WalkedFileSystem(MoodyFileSystem):
    """Listed by fsspec's own walk, as by stores without a listing of their own."""

    find = fsspec.AbstractFileSystem.find

    def ls(self, path, detail=True, **options):
        self._may_fail("ls", path)
        return super().ls(path, detail, **options)


@pytest.fixture
def moody(tmp_path, monkeypatch):
    """The store, with a folder of two photographs and a tar of two more; pauses take no time."""
    fsspec.register_implementation("moody", MoodyFileSystem, clobber=True)
    for name in ("store", "errors"):
        monkeypatch.setattr(MoodyFileSystem, name, {})
    monkeypatch.setattr(MoodyFileSystem, "pseudo_dirs", [""])
    monkeypatch.setattr(MoodyFileSystem, "calls", Counter())
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    system = MoodyFileSystem()
    data = save_photo(tmp_path / "photo.png", size=(30, 20)).read_bytes()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("1.png", "2.png"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    for name, content in (("a.png", data), ("b.png", data), ("part.tar", archive.getvalue())):
        system.pipe(f"/photos/{name}", content)
    system.calls.clear()
    return system


def images_of(address):
    return list(list_source(Source(address)).images)


def test_a_file_that_the_store_does_not_give_is_a_failed_image_with_the_stores_words(moody):
    images = {image.name: image for image in images_of("moody://photos")}
    moody.errors.update(
        {
            ("cat_file", "/photos/b.png"): (QuotaError("over the\nquota"), 9),
            ("cat_file", "/photos/part.tar"): (QuotaError(), 9),
        }
    )
    reader = ImageReader()
    assert reader.read(images["a.png"])
    for name, words in (
        ("b.png", r"it cannot be read: over the quota \(QuotaError\)$"),
        ("part/1.png", ": QuotaError$"),
    ):
        with pytest.raises(PhotoError, match=words):
            reader.read(images[name])
    assert moody.calls["cat_file", "/photos/b.png"] == 1


@pytest.mark.parametrize("method", ["info", "cat_file"])
def test_what_is_temporary_is_tried_again(moody, method):
    (image,) = images_of("moody://photos/a.png")
    moody.calls.clear()
    moody.errors.update({(method, "/photos/a.png"): (ThrottledError("slow down"), 3)})
    assert ImageReader().read(image)
    assert moody.calls[method, "/photos/a.png"] in (4, 5)  # in memory, reading looks at the file itself


@pytest.mark.parametrize(
    "error",
    [ThrottledError("slow down"), TimeoutError("no answer"), type("NoCredentialsError", (Exception,), {})("who?")],
)
def test_a_store_that_stays_away_ends_the_run_and_fails_no_image(moody, error):
    (image,) = images_of("moody://photos/a.png")
    moody.errors.update({("cat_file", "/photos/a.png"): (error, 99)})
    with pytest.raises(JobError, match=rf"^a.png cannot be read: {error}.*; mend that, and the same command goes on$"):
        ImageReader().read(image)


@pytest.mark.parametrize(
    ("method", "path", "times"),
    [
        ("find", "/photos", 99),
        ("info", "/photos", 99),
        ("open", "/photos/part.tar", 9),
        ("read", "/photos/part.tar", 9),
    ],
)
def test_a_source_that_the_store_does_not_list_is_refused_in_a_sentence(
    moody, tmp_path, light_model, method, path, times
):
    moody.errors.update({(method, path): (QuotaError("over the quota"), times)})
    words = rf"^moody://{path}\S* cannot be read: over the quota \(QuotaError\)$"
    with pytest.raises(ValueError, match=words):
        run("moody://photos", tmp_path / "out", light_model)


def test_a_store_that_cannot_be_opened_is_refused_in_a_sentence(moody, tmp_path, light_model, monkeypatch):
    def refuse(self, *arguments, **options):
        raise QuotaError("no more clients")

    monkeypatch.setattr(MoodyFileSystem, "__init__", refuse)
    with pytest.raises(ValueError, match=r"^moody://photos cannot be read: no more clients \(QuotaError\)$"):
        run("moody://photos", tmp_path / "out", light_model)


def test_a_list_does_not_say_that_a_file_is_missing_where_the_store_did_not_answer(moody):
    moody.pipe("/photos/list.txt", b"a.png\nnone.png\n")
    assert images_of("moody://photos/list.txt")[1].refused.endswith("none.png does not exist")
    moody.errors.update({("info", "/photos/a.png"): (ThrottledError("slow down"), 99)})
    with pytest.raises(StoreUnavailableError, match="slow down"):
        images_of("moody://photos/list.txt")


def test_a_run_over_a_store_lists_what_it_did_not_give(moody, tmp_path, light_model):
    moody.errors.update({("cat_file", "/photos/b.png"): (QuotaError("over the quota"), 9)})
    outcome = run("moody://photos", tmp_path / "out", light_model)
    assert (outcome.images, outcome.failures) == (3, (("b.png", "it cannot be read: over the quota (QuotaError)"),))


@pytest.mark.parametrize("error", [QuotaError("over the quota"), OSError(5, "over the quota")])
def test_a_folder_in_a_folder_that_is_not_listed_is_not_left_out(moody, error):
    moody.pipe("/photos/more/c.png", b"x")
    moody.errors.update({("ls", "/photos/more"): (error, 99)})
    with pytest.raises(OSError, match="over the quota"):
        Store(WalkedFileSystem()).find("/photos")


def test_a_folder_is_one_though_the_store_did_not_answer_at_once(moody):
    moody.errors.update({("info", "/photos"): (TimeoutError("no answer"), 2)})
    assert Store(moody).isdir("/photos")
    moody.errors.update({("info", "/photos"): (TimeoutError("no answer"), 99)})
    with pytest.raises(TimeoutError):
        Store(moody).isdir("/photos")


@pytest.mark.parametrize(
    "error",
    [
        type("HTTPError", (Exception,), {"response": SimpleNamespace(status_code=503)}),  # requests
        type("HttpResponseError", (Exception,), {"status_code": 503}),  # Azure
        type("ClientError", (Exception,), {"response": {"ResponseMetadata": {"HTTPStatusCode": 503}}}),  # botocore
    ],
)
def test_the_status_is_found_where_libraries_put_it(moody, error):
    moody.pipe("/x.bin", b"abc")
    moody.errors.update({("cat_file", "/x.bin"): (error("busy"), 3)})
    assert Store(moody).cat_file("/x.bin") == b"abc"


def test_a_stream_reads_the_same_bytes_after_a_failure(moody):
    moody.pipe("/x.bin", bytes(range(100)))
    moody.errors.update({("read", "/x.bin"): (ThrottledError(), 2)})
    with Store(moody).open("/x.bin") as stream:
        stream.seek(10)
        assert stream.read(5) == bytes(range(10, 15))
        assert stream.read() == bytes(range(15, 100))
    assert moody.calls["read", "/x.bin"] == 4


def test_parquet_of_a_store_fails_image_by_image(moody, tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"jpg": [b"x" * 99] * 2}), tmp_path / "t.parquet", row_group_size=1)
    moody.pipe("/t.parquet", (tmp_path / "t.parquet").read_bytes())
    first, second = images_of("moody://t.parquet")
    moody.calls.clear()
    moody.errors.update({("read", "/t.parquet"): (QuotaError("over the quota"), 1)})
    with pytest.raises(PhotoError, match=r"over the quota \(QuotaError\)"):
        ImageReader().read(first)
    assert ImageReader().read(second) == b"x" * 99


@pytest.mark.parametrize(
    ("error", "of_the_file"),
    [
        (FileNotFoundError("no/number.jpg"), True),
        (PermissionError(13, "Permission denied"), True),
        (PermissionError("Access Denied"), False),  # s3fs, for the whole bucket or an old token
        (StoreError(0, "damaged", "s3://b/a.jpg"), True),
        (StoreUnavailableError(0, "slow down", "s3://b/a.jpg"), False),
        (OSError(24, "Too many open files"), False),
    ],
)
def test_only_errors_of_the_file_itself_fail_an_image(error, of_the_file):
    assert is_of_the_file(error) is of_the_file
