"""Machines that would compute alike, and others."""

import pytest

from repvit_sam.jobs.chosen_model import ChosenModel
from repvit_sam.jobs.computing import Computing, agreed_computing

GPU, CPU = Computing("torch", "cuda", "fp32"), Computing("openvino", "cpu", "bf16")


def test_machines_that_agree_decide_for_the_run():
    assert agreed_computing([("a", GPU), ("b", GPU)]) == GPU


def test_machines_that_differ_are_named_with_what_they_have():
    found = [("head", CPU), *((f"gpu-{number}", GPU) for number in range(5))]
    words = (
        r"would not compute alike: torch on cuda in fp32 \(gpu-0, gpu-1, gpu-2, 2 more\), openvino on cpu in bf16 "
        r"\(head\); give --engine, --device and --precision$"
    )
    with pytest.raises(ValueError, match=words):
        agreed_computing(found)


def test_a_model_with_nothing_left_to_choose_has_the_settings_of_what_auto_meant():
    auto = ChosenModel("small", "auto", "auto", "auto")
    chosen = auto.on(auto.computing)
    assert "auto" not in (chosen.engine, chosen.device, chosen.precision)
    assert chosen.settings == auto.settings


def test_settings_are_those_of_other_machines_where_these_compute():
    """A head without a GPU writes them down for machines that have one."""
    model = ChosenModel("small", "auto", "cuda")
    assert model.settings_with(GPU) == {"checkpoint": model.sha256, "engine": "torch"}
    assert model.on(GPU) == ChosenModel("small", "torch", "cuda", "fp32")
    assert str(Computing("onnx", "cpu", "auto")) == "onnx on cpu"
