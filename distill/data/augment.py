"""Views of a photo, made on the device: mirrored, zoomed, recoloured; and windows cut out of canvas and embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from repvit_sam.canvas import EMBEDDING_STRIDE, LOGITS_STRIDE

from ..recipe import AugmentConfig
from .canvas import blank_padding


@dataclass(frozen=True)
class View:
    """How one photo is shown.

    Attributes:
        zoom: canvas pixels a pixel of the unzoomed canvas; above 1 shows a part of the photo.
        offset_yx: which part, 0 (top, left) to 1 (bottom, right).
        contrast: factor on normalised values; brightness: added to them, by channel.
    """

    zoom: float = 1.0
    mirror: bool = False
    offset_yx: tuple[float, float] = (0.0, 0.0)
    contrast: float = 1.0
    brightness: tuple[float, float, float] = (0.0, 0.0, 0.0)


def draw_view(augment: AugmentConfig, rng: np.random.Generator) -> View:
    """A view at random; zoom is uniform on a logarithmic scale."""
    zoom = 1.0
    if augment.zoom and rng.random() < augment.zoom_share:
        low, high = augment.zoom
        zoom = float(low * (high / low) ** rng.random())
    shift = rng.uniform(-augment.colour, augment.colour, size=3)
    return View(
        zoom,
        bool(augment.mirror and rng.random() < 0.5),
        (float(rng.random()), float(rng.random())),
        float(1 + rng.uniform(-augment.colour, augment.colour)),
        (float(shift[0]), float(shift[1]), float(shift[2])),
    )


@dataclass(frozen=True)
class Frame:
    """Where views lie on the unchanged canvases; all (B, 1), in canvas pixels, but ``zoom`` and ``mirror``."""

    zoom: Tensor
    mirror: Tensor
    top: Tensor
    left: Tensor
    shown_hw: Tensor  # (B, 2) of the unchanged canvas
    content_hw: Tensor  # (B, 2) long: what the view's own canvas shows

    @classmethod
    def of(cls, views: Sequence[View], content_hw: Tensor, canvas_size: int) -> Frame:
        device = content_hw.device
        zoom = torch.tensor([[view.zoom] for view in views], device=device)
        offset = torch.tensor([view.offset_yx for view in views], device=device)
        span = canvas_size / zoom
        start = (content_hw - span).clamp(min=0) * offset
        shown = torch.minimum(content_hw - start, span)
        content = (shown * zoom).round().clamp(1, canvas_size).long()
        mirror = torch.tensor([[view.mirror] for view in views], device=device)
        return cls(zoom, mirror, start[:, :1], start[:, 1:], shown, content)

    def row(self, b: int) -> Frame:
        """The frame of view b alone."""
        return Frame(*(getattr(self, field.name)[b : b + 1] for field in fields(self)))

    def sample(self, maps: Tensor, side: int, stride: int, mode: str) -> Tensor:
        """Maps (B, C, side, side) of the unchanged canvases, stride pixels a cell -> the same of the views."""
        centres = (torch.arange(side, device=maps.device) + 0.5) * stride  # canvas pixels
        y = self.top + centres / self.zoom
        x = centres / self.zoom
        x = torch.where(self.mirror, self.shown_hw[:, 1:] - x, x) + self.left
        size = side * stride
        grid = torch.stack(
            [
                (2 * x / size - 1)[:, None, :].expand(-1, side, -1),
                (2 * y / size - 1)[:, :, None].expand(-1, -1, side),
            ],
            dim=-1,
        )  # (B, side, side, 2)
        sampled = F.grid_sample(maps, grid.to(maps.dtype), mode=mode, align_corners=False)
        return blank_padding(sampled, self.content_hw, stride)


def apply_views(canvas: Tensor, content_hw: Tensor, views: Sequence[View]) -> tuple[Tensor, Frame]:
    """(B, 3, S, S) normalised canvases -> the views' canvases, and where they lie."""
    frame = Frame.of(views, content_hw, canvas.shape[-1])
    shown = frame.sample(canvas, canvas.shape[-1], 1, "bilinear")
    contrast = torch.tensor([view.contrast for view in views], device=canvas.device).view(-1, 1, 1, 1)
    brightness = torch.tensor([view.brightness for view in views], device=canvas.device).view(-1, 3, 1, 1)
    return blank_padding(shown * contrast + brightness, frame.content_hw), frame


def view_masks(masks: Sequence[Tensor], frame: Frame) -> list[Tensor]:
    """(K, S/4, S/4) bool masks of each unchanged canvas -> those of its view; masks out of sight are left out."""
    return [_view_masks_of_photo(some, frame.row(b)) if len(some) else some for b, some in enumerate(masks)]


def _view_masks_of_photo(masks: Tensor, frame: Frame) -> Tensor:
    shown = frame.sample(masks[None].float(), masks.shape[-1], LOGITS_STRIDE, "nearest")[0] > 0.5
    return shown[shown.any((1, 2))]


def draw_windows(
    content_hw: tuple[int, int], canvas_size: int, window: int, count: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Row and column (in cells of the embedding) of windows that lie on the photo where it is large enough."""
    side = window // EMBEDDING_STRIDE
    most = canvas_size // EMBEDDING_STRIDE - side
    room = [min(most, max(0, -(-length // EMBEDDING_STRIDE) - side)) for length in content_hw]
    return [(int(rng.integers(room[0] + 1)), int(rng.integers(room[1] + 1))) for _ in range(count)]


def cut_windows(maps: Tensor, corners: Sequence[Sequence[tuple[int, int]]], window: int, stride: int) -> Tensor:
    """(B, C, side, side) and, for each, n corners in embedding cells -> (B * n, C, w, w); stride is pixels a cell."""
    cells = EMBEDDING_STRIDE // stride
    side = window // stride
    return torch.stack(
        [
            maps[b, :, row * cells : row * cells + side, column * cells : column * cells + side]
            for b, several in enumerate(corners)
            for row, column in several
        ]
    )
