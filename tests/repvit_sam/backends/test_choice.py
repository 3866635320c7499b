import pytest
import torch

from repvit_sam.backends.choice import Machine, choose, lacks_int8_on_cpu, native_bf16_on_cpu, this_machine

TABLE = [  # device, OpenVINO installed, native bf16 -> engine, precision of "auto"
    ("cuda", True, True, "torch", "fp32"),
    ("mps", True, False, "torch", "fp32"),
    ("xpu", True, False, "torch", "fp32"),
    ("cpu", True, True, "openvino", "bf16"),
    ("cpu", True, False, "openvino", "fp32"),
    ("cpu", False, True, "torch", "bf16"),
    ("cpu", False, False, "torch", "fp32"),
]


@pytest.mark.parametrize(("device", "openvino", "bf16", "engine", "precision"), TABLE)
def test_auto_follows_the_table(device, openvino, bf16, engine, precision):
    choice = choose(Machine(device, openvino, bf16))
    assert (choice.engine, choice.precision) == (engine, precision)
    assert choice.reason


@pytest.mark.parametrize(
    ("machine", "engine", "precision", "expected"),
    [
        (Machine("cpu", True, True), "torch", "auto", ("torch", "fp32")),  # a plain model, to be trained and compared
        (Machine("cpu", True, True), "torch", "bf16", ("torch", "bf16")),
        (Machine("cpu", True, True), "auto", "fp32", ("openvino", "fp32")),
        (Machine("cpu", False, True), "auto", "fp32", ("torch", "fp32")),
        (Machine("cpu", True, False), "auto", "int8", ("openvino", "int8")),
        (Machine("cpu", True, True), "openvino", "auto", ("openvino", "bf16")),
        (Machine("cpu", True, False), "openvino", "auto", ("openvino", "fp32")),
        (Machine("cpu", False, False), "openvino", "auto", ("openvino", "fp32")),  # importing it says what is missing
        (Machine("cuda", False, True), "auto", "bf16", ("torch", "bf16")),
    ],
)
def test_what_is_named_is_kept(machine, engine, precision, expected):
    choice = choose(machine, engine, precision)
    assert (choice.engine, choice.precision) == expected


@pytest.mark.parametrize(
    ("machine", "engine", "precision", "words"),
    [
        (Machine("cpu", True, False), "auto", "bf16", "not native to this cpu"),
        (Machine("cpu", True, False), "torch", "bf16", "not native to this cpu"),
        (Machine("cpu", False, True), "auto", "int8", r"needs OpenVINO: pip install 'repvit-sam\[openvino\]'"),
        (Machine("cuda", True, True), "auto", "int8", "give device='cpu'"),
        (Machine("cpu", True, True), "torch", "int8", "needs engine='openvino'"),
        (Machine("cuda", True, True), "openvino", "auto", "computes on the CPU, got device 'cuda'"),
        (Machine("cpu", True, True), "tpu", "auto", "engine must be one of torch, onnx, openvino, auto, got 'tpu'"),
        (Machine("cpu", True, True), "auto", "fp8", "precision must be one of auto, fp32, bf16, int8, got 'fp8'"),
    ],
)
def test_what_a_machine_cannot_do_is_refused_in_a_sentence(machine, engine, precision, words):
    with pytest.raises(ValueError, match=words):
        choose(machine, engine, precision)


def test_this_machine_is_looked_at():
    machine = this_machine("cpu")
    assert machine.device == "cpu"
    assert machine.native_bf16 == native_bf16_on_cpu()
    assert not this_machine("mps").native_bf16


def test_openvino_sees_the_same_bf16():
    openvino = pytest.importorskip("openvino")
    assert ("BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")) == native_bf16_on_cpu()


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        ({"architecture": "x86_64", "avx2": True, "avx512_vnni": False}, True),
        ({"architecture": "x86_64", "avx512_vnni": True}, False),
        ({"architecture": "x86_64", "avx_vnni": True}, False),
        ({"architecture": "aarch64"}, False),
        ({}, False),
    ],
)
def test_only_processors_of_x86_without_vnni_lack_int8(monkeypatch, found, lacks):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert lacks_int8_on_cpu() == lacks
