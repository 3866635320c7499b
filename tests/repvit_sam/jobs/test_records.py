import pytest

from repvit_sam.jobs.records import RecordFolder

SETTINGS = {"checkpoint": "abc", "clicks": (1, 2)}


def test_appended_records_are_read_by_the_next_run(tmp_path):
    RecordFolder(tmp_path, SETTINGS).append("7", {"iou": 0.5})
    assert RecordFolder(tmp_path, SETTINGS).read() == {"7": {"iou": 0.5}}


def test_an_incomplete_last_line_is_ignored_and_harms_no_other(tmp_path):
    folder = RecordFolder(tmp_path, SETTINGS)
    folder.append("1", {"iou": 1})
    with (tmp_path / "records-0.jsonl").open("ab") as stream:
        stream.write(b'{"key":"2","rec')  # the kill came here
    again = RecordFolder(tmp_path, SETTINGS)
    assert list(again.read()) == ["1"]
    again.append("2", {"iou": 2})
    again.append("3", {"iou": 3})
    assert again.read() == {"1": {"iou": 1}, "2": {"iou": 2}, "3": {"iou": 3}}


def test_records_of_several_processes_are_read_together(tmp_path):
    RecordFolder(tmp_path, SETTINGS, rank=0).append("1", {"by": 0})
    RecordFolder(tmp_path, SETTINGS, rank=1).append("2", {"by": 1})
    assert RecordFolder(tmp_path, SETTINGS, rank=2).read() == {"1": {"by": 0}, "2": {"by": 1}}


@pytest.mark.parametrize("other", [{**SETTINGS, "checkpoint": "def"}, {"clicks": (1, 2)}])
def test_records_of_other_settings_are_not_mixed_in(tmp_path, other):
    RecordFolder(tmp_path, SETTINGS)
    with pytest.raises(ValueError, match=r"holds a run with checkpoint = 'abc', this one has .*; give another --out"):
        RecordFolder(tmp_path, other)


def test_lines_damaged_by_a_power_cut_are_ignored(tmp_path):
    folder = RecordFolder(tmp_path, SETTINGS)
    with (tmp_path / "records-0.jsonl").open("wb") as stream:
        stream.write(b"\0\0\0\0\n[3]\n")
    folder.append("2", {"iou": 2})
    assert RecordFolder(tmp_path, SETTINGS).read() == {"2": {"iou": 2}}


def test_damaged_settings_are_named(tmp_path):
    (tmp_path / "settings.json").write_bytes(b"")
    with pytest.raises(ValueError, match=r"settings.json is damaged; give another --out"):
        RecordFolder(tmp_path, SETTINGS)
