import numpy as np
import pytest
import torch

from repvit_sam.distill.data import dataset as dataset_module
from repvit_sam.distill.data.dataset import DiskDataset, MemoryDataset
from repvit_sam.distill.data.photo_set import FileSlice, PhotoItem
from repvit_sam.distill.data.sources import read_sources

CPU = torch.device("cpu")


@pytest.fixture
def items(tmp_path, photos_folder):
    """Three photos, the middle one damaged."""
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    first, last = read_sources([str(photos_folder)]).items[:2]
    return [first, PhotoItem("bad", FileSlice(tmp_path / "bad.jpg")), last]


def test_memory_and_disk_hold_the_same_canvases(items):
    good = [items[0], items[2]]
    kept, read = MemoryDataset(good, 128, CPU, 1, with_masks=True), DiskDataset(good, 128, 1, with_masks=True)
    for index in range(2):
        assert torch.equal(kept[index].canvas, read[index].canvas)
        assert (kept[index].name, kept[index].content_hw) == (read[index].name, read[index].content_hw)
        np.testing.assert_array_equal(kept[index].masks, read[index].masks)


def test_in_memory_damaged_photos_are_left_out(items):
    dataset = MemoryDataset(items, 128, CPU, 2, with_masks=False)
    assert dataset.items == [items[0], items[2]]
    assert dataset[1].name == items[2].name
    assert "bad" in dataset.skipped[0]


def test_on_disk_damaged_photos_are_named_once_and_replaced_by_the_next(items):
    messages = []
    dataset = DiskDataset(items, 128, 2, with_masks=False, on_skip=messages.append)
    assert [dataset[index].name for index in (1, 1, 0)] == [items[2].name, items[2].name, items[0].name]
    assert len(messages) == 1


def test_nothing_readable_is_an_error(items):
    with pytest.raises(ValueError, match="none of the 1 photos can be read; the first: bad"):
        MemoryDataset(items[1:2], 128, CPU, 1, with_masks=False)
    with pytest.raises(ValueError, match="none of the 1 photos can be read; the first: bad"):
        DiskDataset(items[1:2], 128, 1, with_masks=False)[0]


def test_too_little_memory_is_noticed_before_reading(items):
    with pytest.raises(ValueError, match=r"set data.in_memory=false"):
        dataset_module._check_memory(2**60, CPU)
