"""Embedding caches, for tests."""

from typer import Typer
from typer.testing import CliRunner

from repvit_sam.distill import cache_embeddings
from repvit_sam.distill.data.embedding_cache import EmbeddingCache, Manifest


def prepared(folder, teacher, items):
    return EmbeddingCache.prepare(folder, Manifest.of(teacher, "vit_t", "fp32"), [item.name for item in items])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("shard-*")}


def run_command(*words):
    """The command, in this process."""
    app = Typer()
    app.command()(cache_embeddings.main)
    return CliRunner().invoke(app, [str(word) for word in words])
