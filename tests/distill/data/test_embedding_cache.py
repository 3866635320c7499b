import numpy as np
import pytest
import torch

import repvit_sam
from repvit_sam.distill.data.embedding_cache import CacheError, EmbeddingCache, Manifest
from repvit_sam.distill.teacher import load_teacher

from ..caches import prepared


def test_a_cache_of_another_teacher_canvas_or_precision_is_refused(whole_cache, teacher, items):
    names = [item.name for item in items]
    other = repvit_sam.load("small", "cpu", canvas=128)
    with pytest.raises(CacheError, match=r"another teacher .vit_t, not small"):
        EmbeddingCache.prepare(whole_cache.folder, Manifest.of(other, "small", "fp32"), names)
    with pytest.raises(CacheError, match=r"another canvas .128 pixels, not 256"):
        EmbeddingCache.prepare(
            whole_cache.folder, Manifest.of(load_teacher("vit_t", 256, "cpu"), "vit_t", "fp32"), names
        )
    with pytest.raises(CacheError, match="made in fp32"):
        EmbeddingCache.prepare(whole_cache.folder, Manifest.of(teacher, "vit_t", "bf16"), names)


def test_an_incomplete_record_counts_as_missing(tmp_path, teacher, items):
    cache = prepared(tmp_path / "torn", teacher, items)
    cache.write([0, 1], torch.zeros(2, *cache.manifest.shape), [(1, 2), (3, 4)])
    with (tmp_path / "torn" / "shard-00000.index").open("r+b") as stream:
        stream.seek(16 + 3)
        stream.write(b"\xff")
    assert cache.records()["state"].tolist() == [1, 0, 0, 0, 0, 0, 0]
    with pytest.raises(CacheError, match="6 of 7 photos are not in"):
        cache.rows_of([item.name for item in items])


def test_new_photos_go_behind_the_old_ones(tmp_path, teacher, items):
    first = prepared(tmp_path / "c", teacher, items[3:])
    first.write([0], torch.ones(1, *first.manifest.shape), [(5, 6)])
    both = prepared(tmp_path / "c", teacher, items)
    assert both.names == [item.name for item in (*items[3:], *items[:3])]
    assert both.records()[0]["height"] == 5
    assert len(both.records()) == 7


def test_embeddings_are_stored_row_by_row_in_flat_files(whole_cache):
    stored = np.fromfile(whole_cache.folder / "shard-00000.fp16", dtype=np.float16).reshape(7, 256, 8, 8)
    np.testing.assert_array_equal(stored[3], whole_cache.read(3).numpy())
