"""Settings of everything mode, with their options for the command line."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import typer

from repvit_sam.mask_generator import MODES, SamAutomaticMaskGenerator
from repvit_sam.predictor import SamPredictor

PointsPerSide = Annotated[int | None, typer.Option(help="everything mode: points along one side of the grid")]
PredIouThresh = Annotated[float | None, typer.Option(help="everything mode: keep masks rated above this, 0 keeps all")]
StabilityScoreThresh = Annotated[float | None, typer.Option(help="everything mode: least stability, 0 keeps all")]
BoxNmsThresh = Annotated[float | None, typer.Option(help="everything mode: of boxes overlapping more, one stays")]
Mode = Annotated[str | None, typer.Option(help="everything mode: fast plans its points, exact decodes all")]
CropNLayers = Annotated[int | None, typer.Option(help="everything mode: layers of crops, 0 for none")]


@dataclass(frozen=True)
class Everything:
    """The settings of ``SamAutomaticMaskGenerator`` that decide its masks, with segment_anything's defaults.

    Raises:
        ValueError: a setting is out of range.
    """

    points_per_side: int = 32
    pred_iou_thresh: float | None = 0.88  # None: the checkpoint's own
    stability_score_thresh: float | None = 0.95
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    mode: str = "exact"

    def __post_init__(self) -> None:
        if self.points_per_side < 1:
            raise ValueError(f"--points-per-side must be at least 1, got {self.points_per_side}")
        if self.crop_n_layers < 0:
            raise ValueError(f"--crop-n-layers must be at least 0, got {self.crop_n_layers}")
        if self.mode not in MODES:
            raise ValueError(f"--mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        for name in ("pred_iou_thresh", "stability_score_thresh", "box_nms_thresh"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"--{name.replace('_', '-')} must lie in 0..1, got {value}")

    def changed(self, **choices: Any) -> Everything:
        """These settings, with those replaced that are given and not None."""
        return replace(self, **{name: value for name, value in choices.items() if value is not None})

    def generator(self, predictor: SamPredictor) -> SamAutomaticMaskGenerator:
        """A generator on the predictor's model that returns masks as COCO RLE."""
        return SamAutomaticMaskGenerator(predictor.model, **asdict(self), output_mode="coco_rle")
