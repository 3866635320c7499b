"""What every program does once it knows its configuration and its data: run the job, report, write, draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from repvit_sam.jobs.job import Job
from repvit_sam.jobs.records import Record
from repvit_sam.jobs.run import run_job

from .config import EvaluationConfig
from .pictures import save_examples
from .results import Results, Summary, print_table, write_results

Key = TypeVar("Key", int, str)


def evaluate(job: Job[Key], config: EvaluationConfig, summarise: Callable[[Mapping[Key, Record]], Summary]) -> None:
    """Make the record of every key, print the table, and write what ``config.run`` asks for.

    Args:
        summarise: records by key, in the order of ``job.keys`` -> metrics. Under torchrun only the first process calls
            it; the others are done when their share of the records is written.

    Raises:
        ValueError: the configuration does not fit the folder of results; whatever the job or ``summarise`` raises.
    """
    run = config.run
    records = run_job(job, run.out, config.settings, run.workers, config.unit)
    if not records:
        return
    summary = summarise(records)
    seconds = sum(record["seconds"] for record in records.values())
    results = Results(config.program, run, summary, seconds, config.unit)
    print_table(results)
    if run.out:
        write_results(results, run.out)
        summary.write_files(run.out)
        if run.save_pictures:
            save_examples(run.out / "figures", summary.examples(), summary.examples_per_sheet)
