import json
import logging
import multiprocessing
import os
import threading
import time

import pytest
from filelock import FileLock

from repvit_sam.backends.model_cache import CacheEntry, ModelCache, age

SETTINGS = {"encoder": "abc", "canvas": "64"}


class Builder:
    """Writes two files of a given size, and counts how often."""

    def __init__(self, size=1000):
        self.size, self.calls = size, 0

    def __call__(self, folder):
        self.calls += 1
        (folder / "weights.bin").write_bytes(b"x" * self.size)
        (folder / "graph.xml").write_text("<graph/>")


@pytest.fixture
def cache(tmp_path):
    return ModelCache(tmp_path / "converted", limit_mb=1)


def test_an_entry_is_built_once_and_then_found(cache):
    build = Builder()
    first = cache.get("m", SETTINGS, build)
    assert cache.get("m", SETTINGS, build) == first
    assert build.calls == 1
    assert sorted(path.name for path in first.iterdir()) == ["graph.xml", "manifest.json", "weights.bin"]
    assert ModelCache(cache.folder).get("m", SETTINGS, build) == first
    assert build.calls == 1


def test_other_settings_are_another_entry(cache):
    first = cache.get("m", SETTINGS, Builder())
    assert cache.get("m", {**SETTINGS, "canvas": "128"}, Builder()) != first
    assert len(cache.entries()) == 2


def cut_off(entry):
    (entry / "weights.bin").write_bytes(b"x" * 10)


def change_a_byte(entry):
    (entry / "weights.bin").write_bytes(b"x" * 999 + b"y")


def delete_a_file(entry):
    (entry / "graph.xml").unlink()


def empty_the_manifest(entry):
    (entry / "manifest.json").write_text("")


def list_in_the_manifest(entry):
    (entry / "manifest.json").write_text("[1]")


def older_format(entry):
    manifest = json.loads((entry / "manifest.json").read_text())
    manifest["made_from"]["format"] = "0"
    (entry / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "damage", [cut_off, change_a_byte, delete_a_file, empty_the_manifest, list_in_the_manifest, older_format]
)
def test_a_damaged_or_stale_entry_is_built_again(cache, damage):
    build = Builder()
    damage(cache.get("m", SETTINGS, build))
    entry = cache.get("m", SETTINGS, build)
    assert build.calls == 2
    assert (entry / "weights.bin").read_bytes() == b"x" * 1000


def test_a_build_that_fails_leaves_nothing(cache):
    def build(folder):
        (folder / "weights.bin").write_bytes(b"half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.get("m", SETTINGS, build)
    assert cache.entries() == []
    assert [path.name for path in cache.folder.iterdir()] == [".locks"]
    assert cache.get("m", SETTINGS, Builder()).is_dir()


def test_what_a_killed_process_left_is_replaced(cache):
    entry = cache.get("m", SETTINGS, Builder())
    left = cache.folder / f".{entry.name}.part"
    entry.rename(left)
    (left / "manifest.json").unlink()
    assert cache.entries() == []
    assert cache.get("m", SETTINGS, Builder()) == entry
    assert not left.exists()


def test_the_least_recently_used_go_first(cache):
    build = Builder(400_000)
    first, second = (cache.get("m", {"canvas": str(canvas)}, build) for canvas in (1, 2))
    os.utime(first / "manifest.json", (1, 1))
    os.utime(second / "manifest.json", (2, 2))
    cache.get("m", {"canvas": "1"}, build)  # used now
    third = cache.get("m", {"canvas": "3"}, build)
    assert {entry.path for entry in cache.entries()} == {first, third}


def test_the_newest_is_kept_even_above_the_limit(cache):
    cache.get("m", {"canvas": "1"}, Builder())
    large = cache.get("m", {"canvas": "2"}, Builder(2_000_000))
    assert [entry.path for entry in cache.entries()] == [large]


def test_clear_says_what_is_gone(cache):
    assert cache.clear() == []
    entry = cache.get("m", SETTINGS, Builder())
    (gone,) = cache.clear()
    assert gone.path == entry
    assert gone.size > 1000
    assert cache.entries() == []


def test_the_environment_sets_folder_and_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("REPVIT_SAM_CACHE", str(tmp_path))
    monkeypatch.setenv("REPVIT_SAM_CACHE_MB", "7")
    assert (ModelCache().folder, ModelCache().limit) == (tmp_path / "converted", 7_000_000)
    monkeypatch.setenv("REPVIT_SAM_CACHE_MB", "much")
    with pytest.raises(ValueError, match="REPVIT_SAM_CACHE_MB must be a whole number of megabytes, got 'much'"):
        ModelCache()


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        ModelCache(tmp_path / "file").get("m", SETTINGS, Builder())
    assert ModelCache(tmp_path / "file").entries() == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_an_entry_in_a_folder_that_can_only_be_read_is_found(cache):
    build = Builder()
    entry = cache.get("m", SETTINGS, build)
    for path in (entry, cache.folder):
        path.chmod(0o500)
    try:
        assert cache.get("m", SETTINGS, build) == entry
        with pytest.raises(OSError, match="denied"):
            cache.get("m", {"canvas": "2"}, build)
    finally:
        for path in (cache.folder, entry):
            path.chmod(0o700)
    assert build.calls == 1


@pytest.mark.parametrize(("seconds", "words"), [(5, "5 seconds"), (600, "10 minutes"), (90_000, "25 hours")])
def test_ages_are_in_words(tmp_path, seconds, words):
    assert age(CacheEntry(tmp_path, 0, time.time() - seconds)) == words


def build_slowly(folder, started, calls):
    cache = ModelCache(folder)
    started.wait(20)

    def build(entry):
        calls.put(os.getpid())
        time.sleep(0.5)
        Builder()(entry)

    assert (cache.get("m", SETTINGS, build) / "weights.bin").stat().st_size == 1000


def test_two_processes_at_once_build_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    started, calls = context.Event(), context.Queue()
    processes = [context.Process(target=build_slowly, args=(tmp_path, started, calls)) for _ in range(2)]
    for process in processes:
        process.start()
    started.set()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert calls.get(timeout=5) in [process.pid for process in processes]
    assert calls.empty()


def test_a_thread_that_waits_says_so(cache, caplog):
    entry = cache.get("m", SETTINGS, Builder())
    cut_off(entry)
    lock = FileLock(cache.folder / ".locks" / f"{entry.name}.lock")
    with caplog.at_level(logging.INFO, "repvit_sam"), lock:
        thread = threading.Thread(target=cache.get, args=("m", SETTINGS, Builder()))
        thread.start()
        for _ in range(100):
            if "waiting for another process" in caplog.text:
                break
            time.sleep(0.05)
        lock.release()
        thread.join(20)
    assert "waiting for another process" in caplog.text
