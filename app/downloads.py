"""Layers -> files to download: cut-out, mask, overlay, COCO JSON, SVG outlines. Nothing touches the disk."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np
from PIL import Image

from repvit_sam.masks import Mask, coco_bbox
from repvit_sam.photo import Photo
from repvit_sam.rle import encode_rle
from repvit_sam.visualize import crop_to, cut_out, mask_picture, overlay

from .layer_masks import LayerMasks
from .schemas import DownloadRequest, Layer

_OUTLINE_TOLERANCE = 0.5  # pixels between an outline and its mask's edge, at most


@dataclass(frozen=True)
class Download:
    """A file, before it is sent."""

    name: str
    mime: str
    data: bytes


def make_download(photo: Photo, name: str, request: DownloadRequest) -> Download:
    """One file of the kind that is asked for.

    Args:
        name: of the photo's file.

    Raises:
        RequestError: a layer's mask is damaged or of another photo's size.
    """
    photo_hw = (photo.shape[0], photo.shape[1])
    layers, masks = request.layers, LayerMasks(request.layers, photo_hw)
    stem = Path(name).stem or "photo"
    if request.kind == "coco":
        text = json.dumps(coco_dataset(name, photo_hw, masks, [layer.name for layer in layers]), indent=1)
        return Download(f"{stem}_coco.json", "application/json", text.encode())
    if request.kind == "svg":
        return Download(f"{stem}_outlines.svg", "image/svg+xml", svg(photo_hw, masks, layers).encode())
    if request.kind == "overlay":
        colours = [_rgb(layer.colour) for layer in layers]
        return _png_download(f"{stem}_overlay.png", overlay(photo, masks, colours=colours, in_order=True))
    union = np.zeros(photo_hw, dtype=bool)
    for mask in masks:
        union |= mask
    if request.kind == "mask":
        return _png_download(f"{stem}_mask.png", mask_picture(union))
    picture = cut_out(photo, union, request.feather)
    return _png_download(
        f"{stem}_cutout.png", picture if request.full_size else crop_to(picture, union, request.feather)
    )


def coco_dataset(name: str, photo_hw: tuple[int, int], masks: Iterable[Mask], labels: Sequence[str]) -> dict[str, Any]:
    """COCO's detection format: one image, a category for each label, RLE segmentations."""
    height, width = photo_hw
    categories = {label: number for number, label in enumerate(dict.fromkeys(labels), 1)}
    return {
        "info": {"description": "made with RepViT-SAM"},
        "images": [{"id": 1, "file_name": name, "height": height, "width": width}],
        "categories": [{"id": number, "name": label} for label, number in categories.items()],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": categories[label],
                "segmentation": encode_rle(mask),
                "area": int(np.count_nonzero(mask)),
                "bbox": coco_bbox(mask),
                "iscrowd": 0,
            }
            for number, (mask, label) in enumerate(zip(masks, labels, strict=True), 1)
        ],
    }


def svg(photo_hw: tuple[int, int], masks: Iterable[Mask], layers: Sequence[Layer]) -> str:
    """One path a layer, holes cut out by the even-odd rule, in photo pixels."""
    height, width = photo_hw
    paths = [
        f"  <path id={quoteattr(f'layer-{number}')} data-name={quoteattr(layer.name)} fill={quoteattr(layer.colour)} "
        f'fill-opacity="0.5" stroke={quoteattr(layer.colour)} fill-rule="evenodd" d="{svg_path(mask)}"/>'
        for number, (mask, layer) in enumerate(zip(masks, layers, strict=True), 1)
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return "\n".join([head, *paths, "</svg>", ""])


def svg_path(mask: Mask) -> str:
    """The path data of a mask's edges, simplified.

    The page traces contours of its own (static/): it draws masks at the size of its view, before the server has any at
    the size of the photo.

    OpenCV's contours run through pixel centres. On a mask of twice the size they lie a quarter of a pixel from the true
    edge, not half.
    """
    twice = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(twice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts = []
    for contour in contours:
        simple = cv2.approxPolyDP(contour, 2 * _OUTLINE_TOLERANCE, closed=True)
        corners = (simple if len(simple) > 2 else contour)[:, 0]  # a line of one pixel would lose its area
        corners_xy = (corners + 0.5) / 2
        parts.append("M" + "L".join(f"{x:g},{y:g}" for x, y in corners_xy.tolist()) + "Z")
    return "".join(parts)


def _png_download(name: str, picture: Any) -> Download:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "png", compress_level=4)
    return Download(name, "image/png", stream.getvalue())


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
