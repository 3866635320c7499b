from pathlib import Path

import pytest

from repvit_sam.checkpoints import CHECKPOINTS
from repvit_sam.files import sha256_of

ROOT = Path(__file__).parents[3]
BUNDLED = [entry for entry in CHECKPOINTS.values() if entry.bundled]


@pytest.mark.parametrize("entry", BUNDLED, ids=[entry.name for entry in BUNDLED])
def test_a_bundled_file_is_the_one_whose_sha256_is_published(entry):
    assert sha256_of(entry.path) == entry.sha256
    assert f"`{entry.file_name}` |" in (text := (ROOT / "weights" / "README.md").read_text(encoding="utf-8"))
    assert entry.sha256 in text


def test_every_file_of_weights_is_registered_and_goes_into_a_release():
    files = {path.name for path in (ROOT / "weights").glob("*.safetensors")}
    assert files == {entry.file_name for entry in BUNDLED}
    release = (ROOT / ".ci" / "release.sh").read_text(encoding="utf-8")
    assert all(entry.name in release for entry in BUNDLED)
