import pytest

import repvit_sam
from repvit_sam.device import pick_device


def test_auto_takes_what_is_there():
    assert pick_device("auto").type in ("cuda", "mps", "cpu")


@pytest.mark.parametrize("device", ["meta", "quantum", "cuda:99"])
def test_a_device_that_is_not_here_is_refused(device):
    with pytest.raises(ValueError, match=f"device '{device}' is not available here"):
        pick_device(device)


@pytest.mark.parametrize(
    "build",
    [
        lambda path: repvit_sam.load(path, device="quantum"),
        lambda path: repvit_sam.build_repvit_sam(checkpoint=path, device="quantum"),
    ],
    ids=["load", "build_repvit_sam"],
)
def test_the_device_is_checked_before_the_checkpoint_is_opened(build, tmp_path):
    with pytest.raises(ValueError, match="'quantum' is not available"):  # not that the file does not exist
        build(tmp_path / "none.safetensors")
