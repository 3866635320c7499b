"""What an exported file is: text inside the file, and an entry in the folder's manifest.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ExportError
from ..foreign_json import read_foreign_json
from .signatures import POINT_LABELS, TensorSpec

AUTHOR = "RepViT-SAM (Wang, Chen, Lin, Han, Ding), Segment Anything (Kirillov et al.); exported by repvit-sam"
LICENCE = "Apache-2.0"
MANIFEST = "manifest.json"
_FORMAT = "repvit-sam-export/1"


@dataclass(frozen=True, kw_only=True)
class ExportMetadata:
    """One exported file. The names of these fields are keys of manifest.json."""

    file: str
    part: str
    runtime: str
    variant: str
    canvas: int
    precision: str
    checkpoint: str
    checkpoint_sha256: str
    encoder_fingerprint: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    single_mask: bool = False
    prompt_slots: int = 0

    @property
    def description(self) -> str:
        """One line for a person who opens the file."""
        if self.part == "backbone":
            return (
                f"RepViT classifier of fresh weights, for timing ({self.variant}, {self.canvas} px, {self.precision})"
            )
        what = {"encoder": "image encoder", "decoder": "prompt encoder and mask decoder"}[self.part]
        return f"RepViT-SAM {what} ({self.variant}, canvas {self.canvas}, {self.precision})"

    def as_strings(self) -> dict[str, str]:
        """Key -> value, for the file's own metadata."""
        return {
            "part": self.part,
            "variant": self.variant,
            "canvas": str(self.canvas),
            "precision": self.precision,
            "checkpoint": self.checkpoint,
            "checkpoint_sha256": self.checkpoint_sha256,
            "encoder_fingerprint": self.encoder_fingerprint,
            **({} if self.part == "backbone" else {"point_labels": json.dumps(POINT_LABELS)}),
            "licence": LICENCE,
            "author": AUTHOR,
            "version": __version__,
            **{f"input {tensor.name}": f"{tensor.shape}: {tensor.meaning}" for tensor in self.inputs},
            **{f"output {tensor.name}": f"{tensor.shape}: {tensor.meaning}" for tensor in self.outputs},
        }

    def as_manifest_entry(self, verified: dict[str, float]) -> dict[str, Any]:
        """The file's entry in manifest.json."""
        entry: dict[str, Any] = asdict(self)
        del entry["file"]
        return {
            **entry,
            "point_labels": POINT_LABELS if self.part == "decoder" else {},
            "author": AUTHOR,
            "licence": LICENCE,
            "version": __version__,
            "verified": verified,
        }


def write_manifest(path: Path, entries: dict[str, dict[str, Any]], earlier: Path) -> None:
    """Write the entries, by file name, and those that an earlier manifest has for other files."""
    files = read_manifest(earlier)["files"] if earlier.exists() else {}
    text = json.dumps({"format": _FORMAT, "files": files | entries}, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest.json that an export wrote.

    Raises:
        ExportError: the file cannot be read, or is something else.
    """
    try:
        manifest: dict[str, Any] = read_foreign_json(path)
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read ({error}); move it away") from None
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise ExportError(f"{path} was not written by an export; choose another --out, or move the file away")
    return manifest
