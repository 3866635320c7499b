"""``repvit-sam cache``, and what the commands say about engines."""

import logging
import sys

import pytest
import torch

from repvit_sam.backends.choice import choose, this_machine
from repvit_sam.backends.model_cache import ModelCache
from repvit_sam.console import loading_model

from .conftest import COFFEE, run


def fill(cache):
    def build(folder):
        (folder / "encoder.bin").write_bytes(b"x" * 1_500_000)

    ModelCache(cache / "converted").get("openvino-repvit_m0_9-64-fp32", {}, build)


def test_list_shows_names_sizes_and_ages(cache):
    fill(cache)
    result = run("cache", "list")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("openvino-repvit_m0_9-64-fp32-")
    assert "1.5 MB  used 0 seconds ago" in result.stdout
    assert f"1.5 of at most 2000 MB in {cache}" in result.stderr


def test_clear_says_what_was_freed(cache):
    fill(cache)
    result = run("cache", "clear")
    assert result.stdout == "1 converted models deleted, 1.5 MB freed\n"
    assert run("cache", "list").stdout == ""
    assert "0 converted models deleted" in run("cache", "clear").stdout


def test_a_limit_that_is_no_number_is_named(monkeypatch):
    monkeypatch.setenv("REPVIT_SAM_CACHE_MB", "lots")
    result = run("cache", "list")
    assert result.exit_code == 1
    assert "REPVIT_SAM_CACHE_MB must be a whole number" in result.stderr


def test_info_says_which_engine_computes_and_why():
    choice = choose(this_machine("cuda" if torch.cuda.is_available() else "cpu"))
    assert f"engine       {choice.engine} {choice.precision}: {choice.reason}" in run("info", "small").stdout


def test_without_openvino_segment_works_on_pytorch(light, cache, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)  # its import fails, as on a machine without it
    result = run("segment", COFFEE, "--point", "300,200", *light, "--engine", "auto", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "mask.png").is_file()
    assert not cache.exists()


def test_a_cache_folder_that_cannot_be_written_costs_a_line_on_stderr(light, cache, tmp_path):
    pytest.importorskip("openvino")
    cache.touch()  # a file where the folder should be
    options = ("--engine", "openvino", "--precision", "fp32", "--out", tmp_path / "out")
    result = run("segment", COFFEE, "--point", "300,200", *light, *options)
    assert result.exit_code == 0, result.output
    assert "Warning: the converted model cannot be kept, each start converts it again" in result.stderr
    assert (tmp_path / "out" / "mask.png").is_file()


def test_while_a_model_loads_warnings_are_lines_and_the_rest_is_not_kept(capsys):
    log = logging.getLogger("repvit_sam")
    level = log.level
    with loading_model():
        log.info("converting")
        log.warning("a sentence")
    assert capsys.readouterr().err == "Warning: a sentence\n"
    assert (log.level, log.handlers) == (level, [])
