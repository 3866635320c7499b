import pytest
import torch

from repvit_sam.distill import cache_embeddings
from repvit_sam.distill.cache_embeddings import write_embeddings
from repvit_sam.distill.data.canvas import normalise, read_canvas
from repvit_sam.distill.data.embedding_cache import EmbeddingCache, RowState
from repvit_sam.distill.data.photo_set import FileSlice, PhotoItem
from repvit_sam.distill.teacher import encode

from ..processes import Command
from .caches import contents, prepared, run_command

CANVAS = 128


def test_a_row_is_the_teachers_embedding_in_half_precision(whole_cache, teacher, items):
    canvas = read_canvas(items[4], CANVAS)
    expected = encode(teacher, normalise(canvas.canvas[None], torch.tensor([canvas.content_hw])), "fp32")[0]
    torch.testing.assert_close(whole_cache.read(4).float(), expected, atol=1e-3, rtol=1e-2)
    record = whole_cache.records()[4]
    assert (record["height"], record["width"]) == canvas.content_hw


def test_two_ranks_killed_and_continued_write_the_same_bytes_as_one(tmp_path, whole_cache, teacher, items):
    folder = tmp_path / "ranks"
    calls = 0

    class Killed(Exception):
        pass

    def write_then_die(self, rows, embeddings, contents_hw):
        nonlocal calls
        calls += 1
        if calls == 2:  # killed between the embeddings and their records
            data = [e.half().contiguous().numpy().tobytes() for e in embeddings]
            self._write_at("fp16", rows, data, self.manifest.row_bytes)
            raise Killed
        original(self, rows, embeddings, contents_hw)

    original = EmbeddingCache.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddingCache, "write", write_then_die)
        with pytest.raises(Killed):
            write_embeddings(prepared(folder, teacher, items), teacher, items, 2, rank=0, world=2)
    half_way = (prepared(folder, teacher, items).records()["state"] == RowState.DONE).sum()
    assert half_way == 2
    for rank in (1, 0):
        cache = prepared(folder, teacher, items)
        write_embeddings(cache, teacher, items, 2, rank=rank, world=2)
    for rank in (0, 1):  # ranks that are started again find nothing left to do, or what a dead one left
        write_embeddings(prepared(folder, teacher, items), teacher, items, 2, rank=rank, world=2)
    assert contents(folder) == contents(whole_cache.folder)


def test_nothing_is_computed_twice(whole_cache, teacher, items, monkeypatch):
    monkeypatch.setattr(cache_embeddings, "encode", lambda *_: pytest.fail("encoded again"))
    write_embeddings(EmbeddingCache(whole_cache.folder), teacher, items, batch=2)


def test_processes_that_share_a_folder_write_it_together(tmp_path, whole_cache, photos_folder):
    words = ["--teacher", "vit_t", "--data", photos_folder, "--cache", tmp_path / "c", "--canvas", CANVAS, "--batch", 2,
             "--precision", "fp32", "--limit", 7, "--device", "cpu"]  # fmt: skip
    environments = [{"RANK": rank, "WORLD_SIZE": "2"} for rank in "01"]
    ranks = [Command(*words, module=cache_embeddings.__name__, environment=one) for one in environments]
    assert [rank.result()[0] for rank in ranks] == [0, 0]
    assert contents(tmp_path / "c") == contents(whole_cache.folder)


def test_a_photo_that_cannot_be_read_is_skipped_and_tried_again_the_next_time(tmp_path, teacher, items, capsys):
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    some = [items[0], PhotoItem("bad", FileSlice(tmp_path / "bad.jpg")), items[1]]
    cache = prepared(tmp_path / "c", teacher, some)
    write_embeddings(cache, teacher, some, batch=3)
    assert cache.records()["state"].tolist() == [RowState.DONE, RowState.SKIPPED, RowState.DONE]
    assert cache.skipped_names() == {"bad"}
    assert "2 photos encoded, 1 skipped" in capsys.readouterr().err
    before = contents(tmp_path / "c")
    (tmp_path / "bad.jpg").write_bytes(items[2].file.read())
    write_embeddings(cache, teacher, some, batch=3)
    assert "1 photos encoded, 0 skipped" in capsys.readouterr().err
    size = cache.manifest.row_bytes
    assert contents(tmp_path / "c")["shard-00000.fp16"][:size] == before["shard-00000.fp16"][:size]


def test_ranks_that_start_at_different_times_leave_no_row_out(tmp_path, teacher, items):
    folder = tmp_path / "late"
    first = prepared(folder, teacher, items)
    done = first.records()["state"] == RowState.DONE
    early = cache_embeddings._missing_batches(first, items, 1, done, rank=0, world=2)
    first.write([early[0][0][0]], torch.zeros(1, *first.manifest.shape), [(1, 1)])
    done = first.records()["state"] == RowState.DONE
    late = cache_embeddings._missing_batches(first, items, 1, done, rank=1, world=2)
    rows = [row for batches in (early, late) for batch in batches for row, _ in batch]
    assert sorted(rows) == list(range(7))


def test_verifying_finds_a_changed_byte(tmp_path, teacher, items):
    cache = prepared(tmp_path / "c", teacher, items)
    cache.write([2], torch.ones(1, *cache.manifest.shape), [(5, 6)])
    assert "1 embeddings of vit_t, 0 skipped, 6 missing" in run_command("--cache", cache.folder, "--verify").stdout
    with (cache.folder / "shard-00000.fp16").open("r+b") as stream:
        stream.seek(2 * cache.manifest.row_bytes + 100)
        stream.write(b"\x07")
    result = run_command("--cache", cache.folder, "--verify")
    assert result.exit_code == 1
    assert "1 embeddings are damaged" in result.stderr
    assert "0 embeddings of vit_t, 0 skipped, 7 missing" in run_command("--cache", cache.folder, "--verify").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--verify"], "is not an embedding cache; make one"),
        ([], "no photos given"),
        (["--data", ".", "--precision", "int3"], "must be auto, bf16, fp16 or fp32"),
        (["--data", ".", "--batch", 0], "must be at least 1"),
    ],
)
def test_wrong_options_are_refused_with_a_message(words, sentence, tmp_path):
    result = run_command("--cache", tmp_path / "c", *words)
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_a_disk_too_small_is_noticed_before_the_work(tmp_path, teacher, photos_folder, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(cache_embeddings.shutil, "disk_usage", lambda _: usage)
    result = run_command("--cache", tmp_path / "c", "--teacher", "vit_t", "--data", photos_folder, "--canvas", CANVAS)
    assert "too little room" in result.stderr
    assert not (tmp_path / "c").exists()
