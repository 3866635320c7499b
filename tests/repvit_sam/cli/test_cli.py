"""All commands: what they say about wrong arguments, and what they import."""

import subprocess
import sys

import pytest

from .conftest import COFFEE, run

SMALL = ("--checkpoint", "small", "--engine", "torch")

HOSTILE = [
    (["segment", COFFEE], 2, "at least one --point or --box"),
    (["segment", COFFEE, "--point", "a,b"], 2, "--point takes X,Y"),
    (["segment", COFFEE, "--point", "1,2,7"], 2, "label 1 or 0"),
    (["segment", COFFEE, "--box", "1,2,3"], 2, "--box takes X0,Y0,X1,Y1"),
    (["segment", COFFEE, "--box", "1,2,3,4", "--box", "1,2,3,4", "--point", "1,2"], 2, "several objects"),
    (["segment", COFFEE, "--box", "400,60,200,300", *SMALL], 1, "x0 <= x1"),
    (["segment", COFFEE, "--point", "nan,1", *SMALL], 1, "finite"),
    (["segment", COFFEE, "--point", "90000,1", *SMALL], 1, "pixels of the photo, 600 wide"),
    (["segment", "none.jpg", "--point", "1,1", *SMALL], 1, "none.jpg does not exist"),
    (["segment", "/", "--point", "1,1", *SMALL], 1, "no photos here"),
    (["segment", COFFEE, "--point", "1,1", "--checkpoint", "none.pt"], 1, "none.pt does not exist"),
    (["segment", COFFEE, "--point", "1,1", "--checkpoint", COFFEE], 1, "is no checkpoint"),
    (["segment", COFFEE, "--point", "1,1", "--device", "quantum"], 1, "not available"),
    (["segment", COFFEE, "--point", "1,1", "--out", "taken/x", *SMALL], 1, "taken"),
    (["segment", COFFEE, "--point", "1,1", "--engine", "tpu"], 1, "engine must be one of torch, onnx, openvino, auto"),
    (["segment", COFFEE, "--point", "1,1", "--precision", "fp8"], 1, "precision must be one of auto, fp32, bf16, int8"),
    (["segment", COFFEE, "--point", "1,1", "--engine", "torch", "--precision", "int8"], 1, "needs engine='openvino'"),
    (["segment", COFFEE, "--point", "1,1", "--calibrate", "photos"], 1, "calibrate= is for precision='int8'"),
    (["everything", COFFEE, "--points-per-side", "0"], 2, "points-per-side"),
    (["info", "nothing"], 1, "neither a file nor a known checkpoint"),
    (["weights", "fetch", "nothing"], 1, "unknown checkpoint 'nothing'"),
    (["weights", "convert", "small", "x.onnx"], 1, "must end in"),
    (["weights", "convert", "default", "x.pt", "--layout", "other"], 1, "unknown layout"),
    (["weights", "convert", "tinyvit_sam", "x.pt", "--layout", "published"], 1, "does not exist for vit_t"),
    (["weights", "convert", "small", "x.pt", "--note", "foo"], 1, "--note takes KEY=TEXT"),
    (["demo", "--port", "99999"], 2, "port"),
    (["nonsense"], 2, "No such command"),
]


@pytest.mark.parametrize(("words", "code", "message"), HOSTILE, ids=[" ".join(row[0])[-40:] for row in HOSTILE])
def test_a_command_that_fails_says_why_without_a_traceback(words, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()  # a file where a folder is wanted
    result = run(*words)
    assert result.exit_code == code, result.output
    flat = " ".join(result.stderr.replace("│", " ").split())  # usage errors come in a box
    assert message in flat
    assert isinstance(result.exception, SystemExit)  # anything else would be shown as a traceback


def test_help_answers_without_loading_torch():
    code = "import sys, repvit_sam.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "segment" in run("--help").stdout


def test_the_work_of_segment_is_imported_without_torch():
    """A backend may do without it."""
    code = "import sys, repvit_sam.cli.photo_files; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "repvit_sam.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "segment" in done.stdout
