"""The masks of one image: what is computed, and what every form of output holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..rle import Rle

_DIGITS = 4  # of ratings and scores in files


@dataclass(frozen=True)
class MaskRecord:
    """One mask, as files have it.

    Attributes:
        rle: COCO's compressed RLE at the image's size.
        area: pixels.
        bbox_xywh: COCO's, photo pixels.
        predicted_iou: the model's own rating.
        stability: where everything mode measured it.
        category_id: of the prompt; 1, "object", in everything mode.
        score: the detector's, where the prompt had one.
        points: x, y and label (1 object, 0 background) of the prompt.
        box_xyxy: the prompt's.
    """

    rle: Rle
    area: int
    bbox_xywh: tuple[int, ...]
    predicted_iou: float
    stability: float | None = None
    category_id: int = 1
    score: float | None = None
    points: tuple[tuple[float, float, int], ...] = ()
    box_xyxy: tuple[float, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """An annotation of COCO's, without ids of itself and of its image, with the fields of SA-1B."""
        found: dict[str, Any] = {
            "category_id": self.category_id,
            "segmentation": self.rle,
            "area": self.area,
            "bbox": list(self.bbox_xywh),
            "iscrowd": 0,
            "predicted_iou": round(self.predicted_iou, _DIGITS),
        }
        if self.stability is not None:
            found["stability_score"] = round(self.stability, _DIGITS)
        if self.score is not None:
            found["score"] = round(self.score, _DIGITS)
        if self.points:
            found["point_coords"] = [[x, y] for x, y, _ in self.points]
            found["point_labels"] = [label for _, _, label in self.points]
        if self.box_xyxy is not None:
            found["prompt_box_xyxy"] = list(self.box_xyxy)
        return found

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> MaskRecord:
        """The mask that ``to_json`` wrote."""
        coords, labels = row.get("point_coords", ()), row.get("point_labels", ())
        return cls(
            rle={"size": row["segmentation"]["size"], "counts": row["segmentation"]["counts"]},
            area=row["area"],
            bbox_xywh=tuple(row["bbox"]),
            predicted_iou=row["predicted_iou"],
            stability=row.get("stability_score"),
            category_id=row["category_id"],
            score=row.get("score"),
            points=tuple((x, y, label) for (x, y), label in zip(coords, labels, strict=True)),
            box_xyxy=tuple(row["prompt_box_xyxy"]) if "prompt_box_xyxy" in row else None,
        )


@dataclass(frozen=True)
class ImageMasks:
    """An image of the output with its masks.

    Attributes:
        image_id: unique in the output.
        name: of the image in the source.
        stem: of its own output files, where a form has such.
        photo_hw: pixels, after EXIF orientation.
    """

    image_id: int
    name: str
    stem: str
    photo_hw: tuple[int, int]
    masks: tuple[MaskRecord, ...]

    def image_json(self) -> dict[str, Any]:
        """The image, as COCO and SA-1B describe it."""
        height, width = self.photo_hw
        return {"id": self.image_id, "file_name": self.name, "width": width, "height": height}
