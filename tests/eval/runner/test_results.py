import json
from dataclasses import replace

from repvit_sam.eval.runner.config import RunConfig
from repvit_sam.eval.runner.results import Results, Summary, markdown, print_table, versions, write_results
from repvit_sam.jobs.chosen_model import ChosenModel


def results(limit=None, **more):
    summary = Summary(
        protocol={"name": "repvit-sam", "masks": "single"},
        data={"photos": 5000},
        metrics={"AP": 0.4444, "APl": None},
    )
    run = RunConfig(ChosenModel("small", device="cpu"), limit=limit)
    return Results("eval/instances.py", run, replace(summary, **more), seconds=12.34)


def test_a_table_is_aligned_markdown():
    assert markdown({"a": {"AP": 0.12345, "box mIoU": None}}).splitlines() == [
        "|     | AP    | box mIoU |",
        "| --- | ----- | -------- |",
        "| `a` | 0.123 | -        |",
    ]


def test_the_table_names_program_protocol_and_checkpoint(capsys):
    print_table(results())
    title, _, head, _, row = capsys.readouterr().out.splitlines()
    assert title == "eval/instances.py, repvit-sam, small: 5000 photos"
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["", "AP", "APl"]
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["`small`", "0.444", "-"]


def test_a_subset_is_marked_in_the_first_line(capsys, tmp_path):
    print_table(results(limit=50))
    assert capsys.readouterr().out.startswith("A SUBSET, not comparable with figures of the whole set: the first 50")
    write_results(results(limit=50), tmp_path)
    assert (tmp_path / "table.md").read_text().startswith("A SUBSET")
    assert json.loads((tmp_path / "results.json").read_text())["subset"] == "the first 50 photos"


def test_a_limit_above_the_number_of_photos_makes_no_subset(capsys):
    print_table(results(limit=5001))
    assert "SUBSET" not in capsys.readouterr().out


def test_the_json_tells_how_the_numbers_were_made(tmp_path):
    write_results(results(rows={"one": {"AP": 1.0, "APl": 0.5}}), tmp_path)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["figures"] == {"AP": 0.4444, "APl": None}
    assert kept["rows"] == {"one": {"AP": 1.0, "APl": 0.5}}
    assert (kept["checkpoint"], kept["engine"], kept["device"]) == ("small", "torch", "cpu")
    assert kept["versions"] == versions()
    assert {"repvit_sam", "python", "torch", "numpy", "pycocotools"} <= kept["versions"].keys()
    assert kept["hardware"]
    assert kept["subset"] is None
