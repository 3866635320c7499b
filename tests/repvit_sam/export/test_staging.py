import os
from pathlib import Path

import pytest

from repvit_sam.export.staging import StagingFolder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(folder, name, text):
    (folder / name).mkdir(parents=True)
    (folder / name / "weights").write_text(text)


def test_published_folders_replace_the_old_ones(tmp_path):
    write(tmp_path, "decoder.mlpackage", "old")
    (tmp_path / "decoder.mlpackage" / "stale").touch()
    with StagingFolder(tmp_path) as staging:
        write(staging.path, "decoder.mlpackage", "new")
        (staging.path / "unpublished").touch()
        assert staging.publish(["decoder.mlpackage"]) == [tmp_path / "decoder.mlpackage"]
    assert contents(tmp_path) == {"decoder.mlpackage/weights": b"new"}
    assert len(list(tmp_path.iterdir())) == 1


def test_where_not_everything_can_be_published_the_old_files_come_back(tmp_path, monkeypatch):
    write(tmp_path, "encoder.mlpackage", "old")
    (tmp_path / "decoder.onnx").write_text("old")
    before = contents(tmp_path)
    rename = os.replace

    def in_use(source, target):
        if Path(target) == tmp_path / "decoder.onnx" and not Path(source).name.startswith("old."):
            raise PermissionError("decoder.onnx is in use")
        rename(source, target)

    monkeypatch.setattr(os, "replace", in_use)
    with StagingFolder(tmp_path) as staging:
        write(staging.path, "encoder.mlpackage", "new")
        (staging.path / "decoder.onnx").write_text("new")
        (staging.path / "manifest.json").write_text("new")
        with pytest.raises(PermissionError):
            staging.publish(["encoder.mlpackage", "manifest.json", "decoder.onnx"])
    assert contents(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_published_leaves_no_empty_folder(tmp_path):
    with StagingFolder(tmp_path / "new" / "x") as staging:
        (staging.path / "encoder.onnx").touch()
    assert not (tmp_path / "new" / "x").exists()
