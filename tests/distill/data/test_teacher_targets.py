import pytest
import torch

from repvit_sam.distill.data.canvas import normalise, read_canvas
from repvit_sam.distill.data.embedding_cache import CacheError
from repvit_sam.distill.data.teacher_targets import CachedTargets, OnlineTargets


@pytest.fixture(scope="module")
def batch(items):
    """Names, canvases and contents of two photos, as a loader has them."""
    photos = [read_canvas(item, 128) for item in items[2:4]]
    content_hw = torch.tensor([photo.content_hw for photo in photos])
    return [photo.name for photo in photos], normalise(torch.stack([p.canvas for p in photos]), content_hw), content_hw


def test_cached_and_online_targets_agree_to_half_precision(whole_cache, teacher, batch):
    cached = CachedTargets.of(whole_cache, batch[0])(*batch)
    torch.testing.assert_close(cached, OnlineTargets(teacher, "fp32")(*batch), atol=1e-3, rtol=1e-2)


def test_a_photo_of_another_shape_than_its_embedding_is_refused(whole_cache, batch):
    names, canvas, content_hw = batch
    with pytest.raises(CacheError, match=f"{names[0]} has changed since .* was made; make a new cache"):
        CachedTargets.of(whole_cache, names)(names, canvas, content_hw - 1)
