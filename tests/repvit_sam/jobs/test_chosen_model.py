import pytest

from repvit_sam.backends.choice import choose, this_machine
from repvit_sam.checkpoints import find_checkpoint
from repvit_sam.files import sha256_of
from repvit_sam.jobs.chosen_model import ChosenModel


def test_a_checkpoint_is_known_by_name_and_hash():
    assert ChosenModel("small").name == "small"
    assert ChosenModel("small").sha256 == sha256_of(find_checkpoint("small"))
    path = str(find_checkpoint("small"))
    assert ChosenModel(path).name == "repvit_sam_m0_9"
    assert ChosenModel(path).sha256 == ChosenModel("small").sha256


def test_it_opens_as_a_predictor():
    assert ChosenModel("small", device="cpu").predictor().model.variant == "repvit_m0_9"


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"engine": "coreml"}, "--engine must be one of torch, onnx, openvino, auto, got 'coreml'"),
        ({"precision": "fp8"}, "--precision must be one of auto, fp32, bf16, int8, got 'fp8'"),
        ({"checkpoint": "nobody"}, "neither a file nor a known checkpoint"),
        ({"checkpoint": "no/file.pt"}, r"no/file.pt is missing; --checkpoint takes a known name or a file"),
        (
            {"checkpoint": "no/export", "engine": "onnx"},
            r"encoder.onnx is missing; --checkpoint takes the folder of an",
        ),
    ],
)
def test_an_unknown_engine_and_a_missing_checkpoint_are_refused_before_loading(choices, words):
    with pytest.raises(ValueError, match=words):
        ChosenModel(**choices)


def test_settings_say_what_auto_means_here():
    """A folder of results goes on only with what computed it."""
    plain = ChosenModel("small", device="cpu").settings
    assert plain == {"checkpoint": sha256_of(find_checkpoint("small")), "engine": "torch"}
    choice = choose(this_machine("cpu"))
    auto = ChosenModel("small", "auto", "cpu").settings
    assert (auto["engine"], auto.get("precision", "fp32")) == (choice.engine, choice.precision)
    assert ChosenModel("small", "openvino").torch_device.type == "cpu"
