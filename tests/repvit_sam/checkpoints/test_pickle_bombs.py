import io
import pickle
import zipfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from repvit_sam.checkpoints import read_checkpoint
from repvit_sam.checkpoints.pickle_bombs import PickleBombError, check_pickle
from repvit_sam.errors import CheckpointError

from ...hostile import answer, nearly_bytes

STATE = {"image_encoder.body.stem.conv2.c.weight": torch.zeros(48, 2), "mask_decoder.x": torch.zeros(3)}


def written(**options):
    stream = io.BytesIO()
    torch.save({"model": STATE}, stream, **options)
    return stream.getvalue()


FILES = [save(STATE, {"canvas": "1024"}), written(), written(_use_new_zipfile_serialization=False)]
PICKLED = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.floats(),
    lambda inside: (
        st.lists(inside, max_size=3) | st.tuples(inside, inside) | st.dictionaries(st.text(max_size=2), inside)
    ),
    max_leaves=20,
)


@given(st.sampled_from(FILES).flatmap(nearly_bytes) | st.binary(max_size=100))
def test_any_bytes_are_a_checkpoint_or_refused_in_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "weights.bin"
    path.write_bytes(data)
    answer(read_checkpoint, path, errors=CheckpointError)


@given(PICKLED, st.integers(0, 5))
def test_what_python_pickles_passes(value, protocol):
    check_pickle(io.BytesIO(pickle.dumps(value, protocol)))


def tower(levels):
    """Tuples of the same tuple twice: nothing in memory, 2 ** levels parts when it is written out."""
    value = ()
    for _ in range(levels):
        value = (value, value)
    return value


@pytest.mark.parametrize("legacy", [True, False])
def test_a_tower_of_tuples_that_takes_years_to_hash_is_refused(tmp_path, legacy):
    data = pickle.dumps([tower(60)], 2)
    with pytest.raises(PickleBombError, match="more than 20,000,000 parts"):
        check_pickle(io.BytesIO(data))
    path = tmp_path / "weights.pt"
    if legacy:
        path.write_bytes(data)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", data)
    with pytest.raises(CheckpointError, match="its pickle has more than 20,000,000 parts"):
        read_checkpoint(path)


def test_a_zip_that_grows_is_refused(tmp_path):
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="content is larger than the file"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(1).expand(10**6, 10**6), torch.zeros(2, 2).to_sparse(), torch.zeros(3, device="meta")],
    ids=["one number for a million million", "sparse", "without numbers"],
)
def test_a_tensor_whose_shape_lies_is_refused(tmp_path, tensor):
    torch.save({"image_encoder.body.x": tensor}, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=r"of which less is stored"):
        read_checkpoint(tmp_path / "weights.pt")


def test_names_and_shapes_that_no_checkpoint_has_are_refused(tmp_path):
    for key in ("image_encoder.pos_embed", "image_encoder.body.stem.conv2.c.weight"):
        torch.save({key: torch.tensor(1.0), "image_encoder.blocks.0": torch.zeros(1)}, tmp_path / "weights.pt")
        with pytest.raises(CheckpointError):
            read_checkpoint(tmp_path / "weights.pt")
    torch.save({f"image_encoder.features.{'9' * 5000}.w": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="no known RepViT"):
        read_checkpoint(tmp_path / "weights.pt")
