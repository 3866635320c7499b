"""What an exported file says of itself: inside (metadata) and beside (manifest.json)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..canvas import EMBEDDING_STRIDE, LOGITS_STRIDE, PIXEL_MEAN, PIXEL_STD
from ..errors import ExportError
from ..files import atomic_write

AUTHOR = "RepViT-SAM (Wang, Chen, Lin, Han, Ding), Segment Anything (Kirillov et al.); exported by repvit-sam"
LICENCE = "Apache-2.0"
LABELS = {
    "-1": "padding",
    "0": "background point",
    "1": "object point",
    "2": "box, top left corner",
    "3": "box, bottom right corner",
}
_FORMAT = "repvit-sam-export/1"


@dataclass(frozen=True)
class Port:
    """One input or output."""

    name: str
    shape: str
    meaning: str


@dataclass(frozen=True)
class Facts:
    """One exported file."""

    file: str
    part: str
    runtime: str
    variant: str
    canvas: int
    precision: str
    checkpoint: str
    checkpoint_sha256: str
    encoder_fingerprint: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    single_mask: bool = False
    prompt_slots: int = 0

    def as_texts(self) -> dict[str, str]:
        """For metadata inside a file, which is text."""
        return {
            "part": self.part,
            "variant": self.variant,
            "canvas": str(self.canvas),
            "precision": self.precision,
            "checkpoint": self.checkpoint,
            "checkpoint_sha256": self.checkpoint_sha256,
            "encoder_fingerprint": self.encoder_fingerprint,
            "point_labels": json.dumps(LABELS),
            "licence": LICENCE,
            "author": AUTHOR,
            "version": __version__,
            **{f"input {port.name}": f"{port.shape}: {port.meaning}" for port in self.inputs},
            **{f"output {port.name}": f"{port.shape}: {port.meaning}" for port in self.outputs},
        }

    @property
    def sentence(self) -> str:
        """What the file is, for a person who opens it."""
        what = {"encoder": "image encoder", "decoder": "prompt encoder and mask decoder"}[self.part]
        return f"RepViT-SAM {what} ({self.variant}, canvas {self.canvas}, {self.precision})"


def encoder_ports(
    canvas: int, picture: bool, output: str, open_batch: bool
) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs of an encoder."""
    grid, batch = canvas // EMBEDDING_STRIDE, "B" if open_batch else "1"
    if picture:
        inputs: tuple[Port, ...] = (
            Port(
                "image",
                f"(1, 3, {canvas}, {canvas})",
                f"RGB, 0..255: the photo with its long side resized to {canvas}, at the top left; anything elsewhere",
            ),
            Port("content_hw", "(2,)", "height and width of the photo on the canvas, in pixels"),
        )
    else:
        inputs = (
            Port(
                "canvas",
                f"({batch}, 3, {canvas}, {canvas})",
                f"RGB, long side resized to {canvas}, minus mean {PIXEL_MEAN}, divided by std {PIXEL_STD}, then padded "
                "with zeros right and below",
            ),
        )
    return inputs, (Port(output, f"({batch}, 256, {grid}, {grid})", "image embedding, as the decoder takes it"),)


def decoder_ports(
    canvas: int, embedding: str, prompts: str, points: str, logits: str, masks: int
) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """The inputs and outputs that decoders of both runtimes share."""
    grid, low = canvas // EMBEDDING_STRIDE, canvas // LOGITS_STRIDE
    order = "the single mask, then the three for an ambiguous prompt" if masks == 4 else "chosen by SAM's rule"
    inputs = (
        Port(embedding, f"(1, 256, {grid}, {grid})", "of the encoder"),
        Port("point_coords", f"({prompts}, {points}, 2)", f"x, y in pixels of the canvas ({canvas})"),
        Port("point_labels", f"({prompts}, {points})", "; ".join(f"{k} {v}" for k, v in LABELS.items())),
        Port(
            "mask_input", f"({prompts}, 1, {low}, {low})", f"one mask of an earlier {logits}; zeros where there is none"
        ),
        Port("has_mask_input", "(1,)", "1 where mask_input is to be used, else 0"),
    )
    outputs = (
        Port(logits, f"({prompts}, {masks}, {low}, {low})", f"logits, object above 0: {order}"),
        Port("iou_predictions", f"({prompts}, {masks})", "how good the model thinks each mask, 0..1"),
    )
    return inputs, outputs


def write_manifest(folder: Path, facts: list[Facts], verified: dict[str, dict[str, float]]) -> Path:
    """Enter files into the folder's manifest.json; what it says of other files stays."""
    path = folder / "manifest.json"
    known = read_manifest(path)["files"] if path.exists() else {}
    for one in facts:
        entry: dict[str, Any] = asdict(one)
        del entry["file"]
        known[one.file] = {
            **entry,
            "point_labels": LABELS if one.part == "decoder" else {},
            "author": AUTHOR,
            "licence": LICENCE,
            "version": __version__,
            "verified": verified[one.file],
        }
    with atomic_write(path) as beside:
        beside.write_text(json.dumps({"format": _FORMAT, "files": known}, indent=2) + "\n", encoding="utf-8")
    return path


def read_manifest(path: Path) -> dict[str, Any]:
    """Raise ExportError unless this is a manifest of ours."""
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read ({error}); move it away") from None
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise ExportError(f"{path} is no manifest of an export; take another --out, or move it away")
    return manifest
