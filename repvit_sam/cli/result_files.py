"""Masks of one photo -> files: pictures, and masks.json."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..checkpoints import ALIASES
from ..files import atomic_write
from ..masks import Mask, coco_bbox, mask_box_xyxy
from ..photo import Photo
from ..rle import decode_rle, encode_rle
from ..visualize import cut_out, draw_labels, draw_prompts, mask_picture, overlay


@dataclass(frozen=True)
class ObjectPrompt:
    """The prompts for one object: (x, y, label) points and a box, in photo pixels."""

    points: tuple[tuple[float, float, int], ...]
    box_xyxy: tuple[float, ...] | None

    def arrays(self) -> tuple[Any, Any, Any]:
        """point_coords, point_labels and box, as ``SamPredictor.predict`` takes them."""
        coords = [point[:2] for point in self.points] or None
        labels = [point[2] for point in self.points] or None
        return coords, labels, self.box_xyxy

    @property
    def ambiguous(self) -> bool:
        """A single point may mean an object or a part of it, so the best of three masks is taken."""
        return self.box_xyxy is None and len(self.points) == 1


@dataclass(frozen=True)
class DetectedObject:
    """What a detector says of a box."""

    label: str
    category_id: int
    score: float

    def __str__(self) -> str:
        return f"{self.label} {self.score:.2f}"


@dataclass(frozen=True)
class FoundMask:
    """A predicted mask (H, W) and its prompt.

    Attributes:
        detected: where a detector gave the prompt.
    """

    prompt: ObjectPrompt
    mask: Mask
    predicted_iou: float
    detected: DetectedObject | None = None

    def record(self) -> dict[str, Any]:
        """As written to masks.json: COCO's compressed RLE and bbox."""
        prompt: dict[str, Any] = {"points": [list(p) for p in self.prompt.points]}
        if self.prompt.box_xyxy is not None:
            prompt["box"] = list(self.prompt.box_xyxy)
        detected: dict[str, Any] = {}
        if self.detected:
            detected = {
                "category_id": self.detected.category_id,
                "label": self.detected.label,
                "score": round(self.detected.score, 4),
            }
        return {
            **detected,
            "segmentation": encode_rle(self.mask),
            "area": int(np.count_nonzero(self.mask)),
            "bbox": coco_bbox(self.mask),
            "predicted_iou": round(self.predicted_iou, 4),
            "prompt": prompt,
        }


@dataclass(frozen=True)
class ResultFiles:
    """Writes the results of one photo.

    Attributes:
        photo_path: where the photo was read from.
        checkpoint: the name or path that the model was loaded by.
        folder: for the files.
    """

    photo_path: Path
    photo: Photo
    checkpoint: str
    folder: Path

    def write_found(self, found: Sequence[FoundMask]) -> list[str]:
        """mask.png and cutout.png for each mask, overlay.png and masks.json; returns a line for each mask.

        Where nothing is found, overlay.png and masks.json are written, and the line says so.
        """
        lines = []
        for number, item in enumerate(found, 1):
            ending = f"_{number}" if len(found) > 1 else ""
            mask_path = self.folder / f"mask{ending}.png"
            _write_picture(mask_path, mask_picture(item.mask))
            _write_picture(self.folder / f"cutout{ending}.png", cut_out(self.photo, item.mask))
            x0, y0, x1, y1 = mask_box_xyxy(item.mask)
            area = np.count_nonzero(item.mask)
            name = f" ({item.detected})" if item.detected else ""
            lines.append(
                f"{self.photo_path} mask {number}{name}: {area} px ({area / item.mask.size:.1%}), "
                f"box {x0},{y0},{x1},{y1}, predicted IoU {item.predicted_iou:.3f} -> {mask_path}"
            )
        points = [point for item in found for point in item.prompt.points]
        boxes = [item.prompt.box_xyxy for item in found if item.prompt.box_xyxy is not None]
        picture = overlay(self.photo, [item.mask for item in found])
        if points or boxes:  # each of the two copies the picture
            picture = draw_prompts(picture, points, boxes)
        named = dict.fromkeys(
            (str(item.detected), item.prompt.box_xyxy) for item in found if item.detected and item.prompt.box_xyxy
        )  # once, also where a box has three masks
        if named:
            picture = draw_labels(picture, list(named))
        _write_picture(self.folder / "overlay.png", picture)
        categories = {item.detected.category_id: item.detected.label for item in found if item.detected}
        path = self._write_json([item.record() for item in found], categories)
        return lines or [f"{self.photo_path}: nothing found -> {path}"]

    def write_everything(self, records: Sequence[dict[str, Any]]) -> str:
        """overlay.png and masks.json for records of the mask generator in COCO's RLE; returns a line."""
        masks = _DecodedMasks(records)
        overlay_path = self.folder / "overlay.png"
        _write_picture(overlay_path, overlay(self.photo, masks))
        json_path = self._write_json(
            # the generator's own bbox is segment_anything's, a pixel shorter than COCO's
            [{**record, "bbox": coco_bbox(mask)} for record, mask in zip(records, masks, strict=True)]
        )
        return f"{self.photo_path}: {len(records)} masks -> {json_path}, {overlay_path}"

    def _write_json(self, records: list[dict[str, Any]], categories: Mapping[int, str] | None = None) -> Path:
        content: dict[str, Any] = {
            "photo": self.photo_path.name,
            "height": self.photo.shape[0],
            "width": self.photo.shape[1],
            "checkpoint": ALIASES.get(self.checkpoint, self.checkpoint),
            "masks": records,
        }
        if categories:
            content["categories"] = [{"id": number, "name": name} for number, name in sorted(categories.items())]
        path = self.folder / "masks.json"
        with atomic_write(path) as beside:
            beside.write_text(json.dumps(content, indent=1))
        return path


class _DecodedMasks(Sequence[Mask]):
    """The masks of records, each decoded when it is read: hundreds at photo size do not fit in memory."""

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        return decode_rle(self._records[index]["segmentation"])


def _write_picture(path: Path, picture: Any) -> None:
    compressed = io.BytesIO()  # slow; stopped here by Ctrl-C, it leaves nothing on the disk
    Image.fromarray(picture).save(compressed, "PNG")
    with atomic_write(path) as beside:
        beside.write_bytes(compressed.getvalue())
