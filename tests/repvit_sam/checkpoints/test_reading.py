import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import repvit_sam
from repvit_sam.checkpoints import find_checkpoint, load_weights, read_checkpoint
from repvit_sam.errors import CheckpointError


@pytest.fixture(scope="module")
def tiny_state():
    return load_file(find_checkpoint("tinyvit_sam"))


class Exploding:
    """A pickle that would write a file when opened carelessly."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_wrappers_prefixes_and_old_pickles_are_seen_through(tmp_path, tiny_state):
    variants = {
        "plain.pt": (tiny_state, {}),
        "legacy.pth": (tiny_state, {"_use_new_zipfile_serialization": False}),
        "wrapped.pt": ({"model": tiny_state, "epoch": 3}, {}),
        "trainer.pt": ({"state_dict": {f"module.{k}": v for k, v in tiny_state.items()}}, {}),
    }
    for name, (content, options) in variants.items():
        torch.save(content, tmp_path / name, **options)
        assert read_checkpoint(tmp_path / name).variant == "vit_t"
    repvit_sam.load(tmp_path / "trainer.pt", device="cpu")


def test_missing_step_counters_are_no_fault(tmp_path, tiny_state):
    kept = {k: v for k, v in tiny_state.items() if not k.endswith("num_batches_tracked")}
    save_file(kept, tmp_path / "exported.safetensors")
    repvit_sam.load(tmp_path / "exported.safetensors", device="cpu")


GOOD = find_checkpoint("tinyvit_sam").read_bytes()
TOKEN = "mask_decoder.iou_token.weight"


def write_pickle(path, protocol):
    path.write_bytes(pickle.dumps(Exploding(path.parent / "boom"), protocol=protocol))


def raw(data):
    return lambda path, state: path.write_bytes(data)


def pytorch(make):
    return lambda path, state: torch.save(make(path), path)


def tensors(change, metadata=None):
    return lambda path, state: save_file(change(dict(state)), path, metadata=metadata)


def without(state, key):
    del state[key]
    return state


def encoder_of(state):
    prefix = "image_encoder."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def zip_of_version_99(path, state):
    torch.save(state, path)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 6] = 99  # "version needed" of the first entry in the zip's directory
    path.write_bytes(data)


def cut_off_zip(path, state):
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:100_000])


# (name, how the file is made, words of the message)
DAMAGED = [
    ("missing", lambda path, state: None, "does not exist"),
    ("folder", lambda path, state: path.mkdir(), "is a folder"),
    ("empty", raw(b""), "is empty"),
    ("text", raw(b"just some text that goes on"), "text or web page"),
    ("web page", raw(b"<!DOCTYPE html><html></html>"), "text or web page"),
    ("picture", raw(b"\xff\xd8\xff\xe0" + bytes(50)), "some other kind of file"),
    ("cut-off safetensors", raw(GOOD[:100_000]), "damaged or cut-off safetensors"),
    ("cut-off header", raw(GOOD[:500]), "damaged or cut-off safetensors"),
    ("absurd header", raw(b"\xff" * 7 + b"\x7f{" + bytes(20)), "damaged or cut-off safetensors"),
    ("cut-off zip", cut_off_zip, "damaged or cut-off PyTorch"),
    ("only a zip's start", raw(b"PK\x03\x04"), "damaged or cut-off PyTorch"),
    ("zip of an unknown version", zip_of_version_99, "damaged or cut-off PyTorch"),
    ("torn pickle", raw(b"\x80\x02}q\x00(X"), "damaged or cut-off PyTorch"),
    ("code", lambda path, state: write_pickle(path, protocol=2), r"Python objects \(_?io.open\)"),
    ("code in a newer pickle", lambda path, state: write_pickle(path, protocol=4), "Python objects.*state dict"),
    ("code in a zip", pytorch(lambda path: {"model": Exploding(path.parent / "boom")}), "Python objects.*state dict"),
    ("whole module", pytorch(lambda path: torch.nn.Linear(2, 2)), r"Python objects \(torch.nn.modules.linear.Linear"),
    ("list", pytorch(lambda path: [torch.zeros(2)]), "holds list, expected a state dict"),
    ("number inside", pytorch(lambda path: {"image_encoder.x": 3}), "'image_encoder.x' is int, expected a tensor"),
    ("no tensors", pytorch(lambda path: {}), "expected a state dict"),
    ("strangers", tensors(lambda state: {"conv1.weight": torch.zeros(2)}), "unknown key layout.*conv1.weight"),
    (
        "no known size",
        tensors(lambda state: {"image_encoder.body.stem.conv2.c.weight": torch.zeros(7, 1, 3, 3)}),
        "unknown size",
    ),
    ("false variant", tensors(dict, {"variant": "repvit_m2_3"}), "says it is repvit_m2_3"),
    ("false canvas", tensors(dict, {"canvas": "1000"}), "canvas of '1000'"),
    ("absurd canvas", tensors(dict, {"canvas": "1048576"}), "canvas of '1048576'"),
    ("strange rows", tensors(lambda state: {"image_encoder.features.7.w": torch.zeros(1)}), "no known RepViT"),
    ("TorchScript", lambda path, state: torch.jit.save(torch.jit.script(torch.nn.ReLU()), path), "TorchScript program"),
    ("missing key", tensors(lambda state: without(state, TOKEN)), f"does not fit vit_t: missing: {TOKEN}"),
    (
        "extra key",
        tensors(lambda state: {**state, "mask_decoder.extra": torch.zeros(1)}),
        "unexpected: mask_decoder.extra",
    ),
    (
        "other shape",
        tensors(lambda state: {**state, TOKEN: torch.zeros(2, 256)}),
        rf"of another shape: {TOKEN} \(2, 256\) instead of \(1, 256\)",
    ),
    ("encoder alone", tensors(encoder_of), "image encoder without a decoder.*weights convert"),
]


@pytest.mark.parametrize(("make", "words"), [row[1:] for row in DAMAGED], ids=[row[0] for row in DAMAGED])
def test_what_is_no_checkpoint_gets_its_own_sentence(tmp_path, tiny_state, make, words):
    path = tmp_path / "weights.pt"
    make(path, tiny_state)
    with pytest.raises(CheckpointError, match=words) as caught:
        repvit_sam.load(path, device="cpu")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("mobile_sammy", "neither a file nor a known checkpoint; known: repvit_sam_m0_9"),
        ("sam_vit_h", "weights fetch sam_vit_h"),
    ],
)
def test_a_name_that_is_not_here_says_what_to_do(word, words, tmp_path, monkeypatch):
    monkeypatch.setenv("REPVIT_SAM_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=words):
        repvit_sam.load(word)


def test_weights_of_another_variant_name_the_keys(tmp_path):
    model = repvit_sam.build_repvit_sam("repvit_m0_9")
    with pytest.raises(CheckpointError, match=r"missing: image_encoder.body.stem.*and \d+ more; unexpected"):
        load_weights(model, read_checkpoint(find_checkpoint("tinyvit_sam")))


def test_a_path_with_a_checkpoint_name_inside_is_a_path(tmp_path):
    shutil.copy(find_checkpoint("tinyvit_sam"), tmp_path / "tinyvit_sam.safetensors")
    assert find_checkpoint(tmp_path / "tinyvit_sam.safetensors").parent == tmp_path
