"""Jobs on Ray, started on this machine with two cores, without a dashboard."""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from repvit_sam.errors import JobError
from repvit_sam.jobs.on_ray import RayPlace, ask_machines, make_records_on_ray


@dataclass(frozen=True)
class Fragile:
    """Squares; the process that works on a number of ``deadly`` dies, so often as that says."""

    keys: tuple[int, ...]
    log: Path
    deadly: tuple[tuple[int, int], ...] = ()
    refused: int | None = None
    cannot_start: bool = False

    def start(self):
        if self.cannot_start:
            raise ValueError("no GPU here")
        return self._square

    def _square(self, key):
        with self.log.open("a") as stream:
            stream.write(f"{key}\n")
        if self.log.read_text().split().count(str(key)) <= dict(self.deadly).get(key, 0):
            os._exit(1)
        if key == self.refused:
            raise ValueError(f"no square of {key}")
        return {"square": key**2, "process": os.getpid()}


@pytest.fixture(scope="module")
def started(ray_here):
    """This module is sent to the workers, which cannot import a test."""
    module = sys.modules[__name__]
    ray_here.cloudpickle.register_pickle_by_value(module)
    yield
    ray_here.cloudpickle.unregister_pickle_by_value(module)


def records_of(job, **place):
    return dict(make_records_on_ray(job, job.keys, RayPlace(**place)))


@pytest.mark.slow
def test_actors_share_the_units_and_one_that_dies_is_replaced(started, tmp_path):
    job = Fragile((5, 6, 7, 8), tmp_path / "log", deadly=((6, 1),))
    records = records_of(job, workers=2)
    assert {key: record["square"] for key, record in records.items()} == {5: 25, 6: 36, 7: 49, 8: 64}
    assert os.getpid() not in {record["process"] for record in records.values()}
    assert (tmp_path / "log").read_text().split().count("6") == 2


@pytest.mark.slow
def test_a_unit_that_kills_every_worker_ends_the_run(started, tmp_path):
    with pytest.raises(JobError, match=r"died 2 times at 6, .* it goes on"):
        records_of(Fragile((6,), tmp_path / "log", deadly=((6, 99),)), tries=2)
    assert (tmp_path / "log").read_text().split() == ["6"] * 2


@pytest.mark.slow
def test_an_error_of_the_job_is_raised_unchanged(started, tmp_path):
    with pytest.raises(ValueError, match="no square of 7"):
        records_of(Fragile((7,), tmp_path / "log", refused=7))


@pytest.mark.slow
def test_a_worker_that_cannot_start_says_on_which_machine(started, tmp_path):
    with pytest.raises(ValueError, match=rf"^no GPU here \(on {platform.node()}\)$"):
        records_of(Fragile((7,), tmp_path / "log", cannot_start=True))


@pytest.mark.slow
def test_each_machine_answers_for_itself(started, ray_here, tmp_path, monkeypatch):
    """One machine as two: the second to be asked answers something else."""
    (node,) = ray_here.nodes()
    monkeypatch.setattr(ray_here, "nodes", lambda: [node, node, {**node, "Alive": False, "NodeID": "gone"}])

    def number_of_asked():
        try:
            (tmp_path / "asked").mkdir()
        except FileExistsError:
            return "second", os.getpid()
        return "first", os.getpid()

    answers = ask_machines(number_of_asked, RayPlace(workers=2))
    assert {name for name, _ in answers} == {platform.node()}
    assert sorted(answer for _, (answer, _) in answers) == ["first", "second"]
    assert os.getpid() not in {process for _, (_, process) in answers}


@pytest.mark.slow
def test_a_machine_that_cannot_compute_what_is_named_is_named_itself(started):
    def refuse():
        raise ValueError("device 'cuda' is not available here")

    with pytest.raises(ValueError, match=rf"^device 'cuda' is not available here \(on {platform.node()}\)$"):
        ask_machines(refuse, RayPlace())


def test_a_cluster_that_is_not_there_is_said_in_a_sentence(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    ray.shutdown()

    def not_there(*_, **__):
        raise ConnectionError("Could not find any running Ray instance.")

    # its own error, raised here: "auto" would find the Ray of a test in the process beside this one
    monkeypatch.setattr(ray, "init", not_there)
    with pytest.raises(JobError, match=r"Ray cannot be started or reached \(auto\)"):
        list(make_records_on_ray(Fragile((1,), tmp_path / "log"), (1,), RayPlace(1, "auto")))
