import pytest

from repvit_sam.distill.data.photo_set import FileSlice, PhotoItem, PhotoSet
from repvit_sam.distill.data.split import split_photos
from repvit_sam.distill.recipe import DataConfig, EncoderStage, MasksStage, RecipeError

ENCODER = EncoderStage(kind="encoder", steps=1)


def photos(tmp_path, count, annotations=None):
    return PhotoSet(tuple(PhotoItem(str(n), FileSlice(tmp_path), annotations) for n in range(count)))


def names(items):
    return [item.name for item in items]


def test_photos_are_held_out_evenly_and_at_most_a_quarter(tmp_path):
    data = DataConfig(sources=("x",), hold_out=2)
    split = split_photos(photos(tmp_path, 8), data, ENCODER, 1, ())
    assert names(split.held_out) == ["0", "4"]
    assert names(split.train) == ["1", "2", "3", "5", "6", "7"]
    assert len(split_photos(photos(tmp_path, 5), data, ENCODER, 1, ()).held_out) == 1


def test_photos_without_embedding_or_mask_are_left_out(tmp_path):
    data = DataConfig(sources=("x",))
    assert names(split_photos(photos(tmp_path, 3), data, ENCODER, 1, {"1"}).train) == ["0", "2"]
    masks = MasksStage(kind="masks", steps=1)
    assert len(split_photos(photos(tmp_path, 3, ({},)), data, masks, 1, {"1"}).train) == 3
    with pytest.raises(RecipeError, match=r"stage 2 \(masks\) has no photos with masks to train on"):
        split_photos(photos(tmp_path, 3), data, masks, 2, ())
