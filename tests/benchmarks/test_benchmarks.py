import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a script with these words as ``python benchmarks/SCRIPT`` would -> exit code, lines of stdout, stderr.

    In this process, so that torch is imported once.
    """

    def run(script, *words):
        monkeypatch.setattr(sys, "argv", [script, *words])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPTS / script), run_name="__main__")
        printed = capsys.readouterr()
        return ended.value.code, printed.out.splitlines(), printed.err

    return run


@pytest.fixture
def lines_of(run):
    def lines(script, *words):
        code, printed, errors = run(script, *words)
        assert not code, errors
        return printed

    return lines


def test_the_encoder_is_timed_in_three_forms(lines_of):
    title, *rows = lines_of("encoder.py", "--variant", "repvit_m0_9", "--canvas", "128", "--rounds", "1")
    assert "canvas 128" in title
    assert len(rows) == 3
    assert rows[0].split()[-1] == "1.00"


def test_what_a_person_waits_for_is_timed(lines_of):
    title, *rows = lines_of("click.py", "--checkpoint", "small", "--rounds", "1")
    assert "600x400 photo" in title
    assert [row.split()[-1] for row in rows] == ["ms"] * 4


def test_a_hundred_boxes_are_counted_in_single_ones(lines_of):
    title, one, many, reference = lines_of("boxes.py", "--checkpoint", "small", "--count", "5", "--rounds", "1")
    assert "600x400 photo" in title
    assert one.split()[-3:] == ["1.0", "single", "boxes"]
    assert many.startswith("5 boxes")
    assert reference.startswith("5, segment_anything's decoder")


def test_caching_and_training_are_set_against_the_machines_limit(lines_of):
    words = ["--teacher", "vit_t", "--student", "repvit_m0_9", "--canvas", "128", "--batch", "1", "--side", "256"]
    title, *rows = lines_of("training.py", *words, "--rounds", "1", "--device", "cpu")
    assert "TFLOP/s of matrices" in title
    assert [row.split()[0] for row in rows] == ["caching", "training"]
    assert all("img/s of at most" in row for row in rows)


@pytest.mark.slow
def test_sizes_of_exports_shrink_with_the_precision_and_packages_are_compared(lines_of):
    words = ["repvit_m0_9", "--canvas", "128", "--coreml", "fp16", "--onnx", "fp32", "--onnx", "int8"]
    rows = {(line[:14].strip(), line[15:31].strip()): line[32:] for line in lines_of("export_sizes.py", *words)}
    megabytes = {label: float(text.split()[0]) for label, text in rows.items()}
    assert [label for label in rows if label[0] == "decoder"] == [("decoder", "Core ML fp16"), ("decoder", "ONNX fp32")]
    assert megabytes["repvit_m0_9", "Core ML fp16"] < 0.6 * megabytes["repvit_m0_9", "ONNX fp32"]
    assert megabytes["repvit_m0_9", "ONNX int8"] < 0.5 * megabytes["repvit_m0_9", "ONNX fp32"]
    assert "masks agree to IoU" in rows["repvit_m0_9", "Core ML fp16"]


def test_a_precision_that_is_none_is_named(run):
    code, _, errors = run("export_sizes.py", "--coreml", "fp8")
    assert code == 1
    assert "--coreml must be one of fp16, fp32, palette8, linear8, got fp8" in errors
