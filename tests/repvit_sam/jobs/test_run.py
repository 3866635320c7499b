import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from repvit_sam.errors import JobError
from repvit_sam.jobs.run import run_job
from repvit_sam.jobs.workers import make_records


@dataclass(frozen=True)
class Squares:
    """A job whose photos are numbers; it logs to disk what it computes."""

    keys: tuple[int, ...]
    log: Path
    stop_at: int | None = None

    def start(self):
        return self._square

    def _square(self, key):
        if key == self.stop_at:
            raise ValueError(f"no square of {key}")
        with self.log.open("a") as stream:
            stream.write(f"{key}\n")
        return {"square": key**2, "process": os.getpid()}


def squares(records):
    return [record["square"] for record in records.values()]


def test_records_come_in_the_order_of_the_photos_with_their_seconds(tmp_path):
    records = run_job(Squares((3, 1, 2), tmp_path / "log"), None, {})
    assert squares(records) == [9, 1, 4]
    assert list(records) == [3, 1, 2]
    assert all(record["seconds"] >= 0 for record in records.values())


def test_a_stopped_run_goes_on_and_computes_nothing_twice(tmp_path):
    keys, log, out = (1, 2, 3, 4), tmp_path / "log", tmp_path / "out"
    with pytest.raises(ValueError, match="no square of 3"):
        run_job(Squares(keys, log, stop_at=3), out, {"a": 1})
    assert squares(run_job(Squares(keys, log), out, {"a": 1})) == [1, 4, 9, 16]
    assert log.read_text().split() == ["1", "2", "3", "4"]


def test_a_limited_run_can_be_extended(tmp_path):
    log, out = tmp_path / "log", tmp_path / "out"
    run_job(Squares((1, 2), log), out, {})
    assert squares(run_job(Squares((1, 2, 3), log), out, {})) == [1, 4, 9]
    assert squares(run_job(Squares((1,), log), out, {})) == [1]  # and shortened
    assert log.read_text().split() == ["1", "2", "3"]


def test_duplicate_keys_are_refused(tmp_path):
    with pytest.raises(ValueError, match="the photos to evaluate have duplicates"):
        run_job(Squares((1, 1), tmp_path / "log"), None, {})


def test_workers_share_the_photos_and_none_is_done_twice(tmp_path):
    keys, log = tuple(range(12)), tmp_path / "log"
    records = run_job(Squares(keys, log), tmp_path / "out", {}, workers=2)
    assert squares(records) == [number**2 for number in range(12)]
    assert sorted(map(int, log.read_text().split())) == list(keys)
    assert os.getpid() not in {record["process"] for record in records.values()}


def test_an_error_in_a_worker_is_raised_unchanged(tmp_path):
    with pytest.raises(ValueError, match="no square of 1"):
        run_job(Squares((0, 1), tmp_path / "log", stop_at=1), None, {}, workers=2)


PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_run import Endless
from repvit_sam.jobs.run import run_job
if __name__ == "__main__":
    run_job(Endless((0, 1), Path(sys.argv[2])), None, {}, workers=2)
"""


@dataclass(frozen=True)
class Endless:
    """A job that says which process has begun a photo, and never ends it, but for one if there is a file ``done``."""

    keys: tuple[int, ...]
    folder: Path

    def start(self):
        return self._work

    def _work(self, key):
        (self.folder / str(key)).write_text(str(os.getpid()))
        try:
            (self.folder / "done").unlink()  # for the first that comes
        except FileNotFoundError:
            time.sleep(600)
        return {}


def until(condition):
    """Wait until the condition holds, two minutes at most."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(process):
    """Whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at in /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"  # workers import the script again, so it is a file
    script.write_text(PARENT)
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
from test_run import Squares
from repvit_sam.jobs.run import run_job
folder = Path(sys.argv[2])
records = run_job(Squares(tuple(range(7)), folder / f"log{os.environ['RANK']}"), folder / "out", {})
(folder / f"found{os.environ['RANK']}").write_text(json.dumps([record["square"] for record in records.values()]))
"""


def test_ranks_share_the_photos_and_the_first_has_all_records(tmp_path):
    """Two processes with the environment that torchrun gives them."""
    words = [sys.executable, "-c", RANK, str(Path(__file__).parent), str(tmp_path)]
    ranks = [subprocess.Popen(words, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"}) for rank in (0, 1)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    assert json.loads((tmp_path / "found0").read_text()) == [0, 1, 4, 9, 16, 25, 36]
    assert json.loads((tmp_path / "found1").read_text()) == []
    assert (tmp_path / "log0").read_text().split() == ["0", "2", "4", "6"]
    assert (tmp_path / "log1").read_text().split() == ["1", "3", "5"]


@pytest.mark.parametrize(("out", "workers"), [(None, 1), ("out", 2)])
def test_ranks_need_a_common_folder_and_no_workers(tmp_path, monkeypatch, out, workers):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="torchrun starts the processes"):
        run_job(Squares((1,), tmp_path / "log"), out and tmp_path / out, {}, workers)


def test_less_than_one_worker_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--workers must be at least 1, got 0"):
        run_job(Squares((1,), tmp_path / "log"), None, {}, workers=0)


@dataclass(frozen=True)
class Deadly:
    """A job whose worker is killed by the system."""

    keys: tuple[int, ...]

    def start(self):
        return lambda key: os._exit(9)


def test_a_worker_that_dies_ends_the_run_in_a_sentence():
    with pytest.raises(JobError, match=r"a worker process died, .* with fewer --workers, and it goes on"):
        run_job(Deadly((1, 2)), None, {}, workers=2)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at in /proc")
def test_workers_are_ended_at_once_where_whoever_asked_stops(tmp_path):
    """One worker has a result, the other would work for ten minutes."""
    records = make_records(Endless((0, 1), tmp_path), (0, 1), workers=2)
    Path(tmp_path / "done").touch()
    key, _ = next(records)
    until(lambda: (tmp_path / str(1 - key)).exists() and (tmp_path / str(1 - key)).read_text())
    records.close()
    assert not is_running(int((tmp_path / str(1 - key)).read_text()))
