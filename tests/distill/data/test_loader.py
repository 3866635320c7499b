import torch

from repvit_sam.distill.data.dataset import DiskDataset, MemoryDataset
from repvit_sam.distill.data.loader import BatchLoader, targets_variance
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.distill.recipe import AugmentConfig

CPU = torch.device("cpu")
AUGMENT = AugmentConfig(mirror=True, zoom=(0.6, 3.0), zoom_share=1.0, colour=0.2)


def equal(left, right):
    return left.positions == right.positions and all(
        torch.equal(getattr(left, name), getattr(right, name)) for name in ("canvas", "content_hw")
    )


def test_a_loader_that_starts_later_gives_the_same_batches(photos_folder):
    items = read_sources([str(photos_folder)]).items[:5]
    loader = BatchLoader(DiskDataset(items, 128, 2, with_masks=False), CPU, 7, AUGMENT)
    whole = list(loader.batches(range(12), size=2))
    assert [batch.positions for batch in whole] == [(p, p + 1) for p in range(0, 12, 2)]
    resumed = list(loader.batches(range(6, 12), size=2))
    assert all(equal(left, right) for left, right in zip(whole[3:], resumed, strict=True))
    in_memory = BatchLoader(MemoryDataset(items, 128, CPU, 2, with_masks=False), CPU, 7, AUGMENT)
    assert all(equal(left, right) for left, right in zip(whole, in_memory.batches(range(12), size=2), strict=True))


def test_the_variance_is_that_of_the_unchanged_photos(photos_folder):
    dataset = MemoryDataset(read_sources([str(photos_folder)]).items[:3], 128, CPU, 2, with_masks=False)

    def content(names, canvas, content_hw):
        """An embedding of ones where the photo is, in 256 channels times their number."""
        scale = torch.arange(len(names) * 256).view(len(names), 256, 1, 1).float()
        return scale.expand(-1, -1, 8, 8)

    assert targets_variance(BatchLoader(dataset, CPU, 0, AUGMENT, content)) == 0
    loader = BatchLoader(dataset, CPU, 0, AUGMENT, lambda *given: given[1][:, :1, ::16, ::16].expand(-1, 256, -1, -1))
    plain = BatchLoader(dataset, CPU, 0, AugmentConfig(), loader.targets)
    assert targets_variance(loader) == targets_variance(plain) > 0
