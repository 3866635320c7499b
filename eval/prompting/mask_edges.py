"""Soft edges of a photo from the masks of a grid of points: steps 1 to 4 of SAM's procedure (eval/edges.py)."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import nms

from repvit_sam.embedding import as_numpy
from repvit_sam.mask_generator import point_grid
from repvit_sam.masks import Mask, logits_in_parts, mask_box_xyxy
from repvit_sam.photo import Photo
from repvit_sam.predictor import SamPredictor

POINTS_PER_SIDE = 16
BOX_NMS_THRESH = 0.7

SoftEdges = NDArray[np.float32]  # (H, W), from 0 (no edge) to 1 (the strongest of the photo)


def mask_edges(predictor: SamPredictor, photo: Photo, points_per_side: int = POINTS_PER_SIDE) -> SoftEdges:
    """(H, W) edges of all masks of a ``points_per_side`` x ``points_per_side`` grid. Sets the photo."""
    predictor.set_image(photo)
    height, width = photo.shape[:2]
    points = (point_grid(points_per_side) * (width, height))[:, None]
    masks, ious, low_res_logits = predictor.predict(points, np.ones((len(points), 1), dtype=int), batched=True)
    chosen = distinct_masks(masks.reshape(-1, height, width), ious.ravel())
    edges = np.zeros((height, width), dtype=np.float32)
    kept = torch.from_numpy(low_res_logits.reshape(-1, *low_res_logits.shape[2:])[chosen])
    for part in logits_in_parts(kept, predictor.encoded.fit):
        for probabilities in as_numpy(part.sigmoid()):
            np.maximum(edges, boundary_slope(probabilities), out=edges)
    return edges / max(float(edges.max()), np.finfo(np.float32).tiny)


def distinct_masks(masks: NDArray[np.bool_], ious: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices of the masks (N, H, W) that remain after non-maximum suppression of their boxes; empty ones are dropped.

    Args:
        ious: (N,) predicted IoU: of two masks the one with the higher remains.
    """
    candidates = np.flatnonzero(masks.any(axis=(1, 2)))
    boxes = torch.tensor([mask_box_xyxy(mask) for mask in masks[candidates]], dtype=torch.float).reshape(-1, 4)
    kept = nms(boxes, torch.from_numpy(ious[candidates]).float(), BOX_NMS_THRESH)
    return candidates[kept.numpy()]


def boundary_slope(probabilities: NDArray[np.float32]) -> SoftEdges:
    """(H, W) probabilities of a mask -> the size of Sobel's gradient on the outer boundary of the mask, 0 elsewhere."""
    slope = np.hypot(*(cv2.Sobel(probabilities, cv2.CV_32F, *order) for order in ((1, 0), (0, 1))))
    return np.where(outer_boundary(probabilities > 0.5), slope, 0).astype(np.float32)


def outer_boundary(mask: Mask) -> Mask:
    """Pixels outside the mask that touch it, at a corner too; none on the border of the photo."""
    inside = mask.astype(np.uint8)
    around = cv2.dilate(inside, np.ones((3, 3), np.uint8)) > inside
    around[[0, -1]] = False
    around[:, [0, -1]] = False
    return around
