import os
import stat

import pytest

from repvit_sam.files import atomic_write


def write_half(path):
    with atomic_write(path) as beside:
        beside.write_text("half")
        raise ZeroDivisionError


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_half(tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())
    with atomic_write(tmp_path / "a.txt") as beside:
        beside.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_others_may_read_what_the_user_lets_them_read(tmp_path):
    with atomic_write(tmp_path / "weights") as beside:
        beside.touch(mode=0o600)  # as safetensors does
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "weights").stat().st_mode) == 0o666 & ~mask


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folder")
def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_it_is_said_to_be(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(file):
        steps.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file")
        fsync(file)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", lambda *paths: (steps.append("rename"), replace(*paths)))
    for on_disk, expected in ((True, ["file", "rename", "folder"]), (False, ["rename"])):
        with atomic_write(tmp_path / "a.txt", on_disk=on_disk) as beside:
            beside.write_text("whole")
        assert steps == expected
        steps.clear()
