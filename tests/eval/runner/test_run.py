import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from repvit_sam.eval.runner.run import run


@dataclass(frozen=True)
class Squares:
    """A job whose photos are numbers; it notes on disk what it computes."""

    keys: tuple[str, ...]
    diary: Path
    stop_at: str | None = None

    def start(self):
        return self._square

    def _square(self, key):
        if key == self.stop_at:
            raise ValueError(f"no square of {key}")
        with self.diary.open("a") as stream:
            stream.write(f"{key}\n")
        return {"square": int(key) ** 2, "process": os.getpid()}


def squares(records):
    return [record["square"] for record in records]


def test_records_come_in_the_order_of_the_photos_with_their_seconds(tmp_path):
    records = run(Squares(("3", "1", "2"), tmp_path / "diary"), None, {})
    assert squares(records) == [9, 1, 4]
    assert all(record["seconds"] >= 0 for record in records)


def test_a_stopped_run_goes_on_and_computes_nothing_twice(tmp_path):
    keys, diary, out = ("1", "2", "3", "4"), tmp_path / "diary", tmp_path / "out"
    with pytest.raises(ValueError, match="no square of 3"):
        run(Squares(keys, diary, stop_at="3"), out, {"a": 1})
    assert squares(run(Squares(keys, diary), out, {"a": 1})) == [1, 4, 9, 16]
    assert diary.read_text().split() == ["1", "2", "3", "4"]


def test_a_limited_run_can_be_extended(tmp_path):
    diary, out = tmp_path / "diary", tmp_path / "out"
    run(Squares(("1", "2"), diary), out, {})
    assert squares(run(Squares(("1", "2", "3"), diary), out, {})) == [1, 4, 9]
    assert squares(run(Squares(("1",), diary), out, {})) == [1]  # and shortened
    assert diary.read_text().split() == ["1", "2", "3"]


def test_a_photo_that_is_listed_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="listed twice"):
        run(Squares(("1", "1"), tmp_path / "diary"), None, {})


def test_workers_share_the_photos_and_none_is_done_twice(tmp_path):
    keys, diary = tuple(str(number) for number in range(12)), tmp_path / "diary"
    records = run(Squares(keys, diary), tmp_path / "out", {}, workers=2)
    assert squares(records) == [number**2 for number in range(12)]
    assert sorted(diary.read_text().split(), key=int) == list(keys)
    assert os.getpid() not in {record["process"] for record in records}


def test_an_error_in_a_worker_is_told_as_it_is(tmp_path):
    with pytest.raises(ValueError, match="no square of 1"):
        run(Squares(("0", "1"), tmp_path / "diary", stop_at="1"), None, {}, workers=2)


FOREMAN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_running import Endless
from repvit_sam.eval.runner.run import run
if __name__ == "__main__":
    run(Endless(("0", "1"), Path(sys.argv[2])), None, {}, workers=2)
"""


@dataclass(frozen=True)
class Endless:
    """A job that says which process has begun a photo, and never ends it."""

    keys: tuple[str, ...]
    folder: Path

    def start(self):
        return self._work

    def _work(self, key):
        (self.folder / key).write_text(str(os.getpid()))
        time.sleep(600)


def until(condition):
    """Wait for it, two minutes at most."""
    patience = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0.05)


def is_running(process):
    """Whether a process lives; one that ended and that nobody asked about does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at in /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "foreman.py"  # spawned workers import the script again, so it is a file
    script.write_text(FOREMAN)
    parent = subprocess.Popen([sys.executable, str(script), str(Path(__file__).parent), str(tmp_path)])
    until(lambda: all((tmp_path / key).exists() and (tmp_path / key).read_text() for key in "01"))
    workers = [int((tmp_path / key).read_text()) for key in "01"]
    assert all(map(is_running, workers))
    parent.kill()
    parent.wait()
    until(lambda: not any(map(is_running, workers)))


RANK = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_running import Squares
from repvit_sam.eval.runner.run import run
folder = Path(sys.argv[2])
records = run(Squares(tuple("0123456"), folder / f"diary{os.environ['RANK']}"), folder / "out", {})
(folder / f"found{os.environ['RANK']}").write_text(json.dumps([record["square"] for record in records]))
"""


def test_ranks_share_the_photos_and_the_first_has_all_records(tmp_path):
    """As torchrun starts them: two processes that know their rank."""
    words = [sys.executable, "-c", RANK, str(Path(__file__).parent), str(tmp_path)]
    ranks = [subprocess.Popen(words, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"}) for rank in (0, 1)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    assert json.loads((tmp_path / "found0").read_text()) == [0, 1, 4, 9, 16, 25, 36]
    assert json.loads((tmp_path / "found1").read_text()) == []
    assert (tmp_path / "diary0").read_text().split() == ["0", "2", "4", "6"]
    assert (tmp_path / "diary1").read_text().split() == ["1", "3", "5"]


@pytest.mark.parametrize(("out", "workers"), [(None, 1), ("out", 2)])
def test_ranks_need_a_common_folder_and_no_workers(tmp_path, monkeypatch, out, workers):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="the ranks are the workers"):
        run(Squares(("1",), tmp_path / "diary"), out and tmp_path / out, {}, workers)


def test_less_than_one_worker_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--workers must be at least 1, got 0"):
        run(Squares(("1",), tmp_path / "diary"), None, {}, workers=0)
