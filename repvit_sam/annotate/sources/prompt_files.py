"""A COCO file, or a detector's results: images, and for each the boxes or points that are its prompts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...detection_files import DetectionFile, read_detections, read_json
from ...errors import PromptError
from .files import open_source, version_of, why_refused
from .source_image import BoxPrompt, PointsPrompt, SourceImage, unsafe_name

PROMPT_KINDS = ("boxes", "points", "keypoints", "none")


def read_prompt_file(path: Path, annotations: Path | None, kind: str) -> tuple[DetectionFile, dict[str, SourceImage]]:
    """The images of a file by name, sorted, without places yet.

    Args:
        path, annotations: as ``read_detections``.
        kind: "boxes"; "keypoints", COCO's, of which the labelled ones are points on the object; "points", the fields
            ``point_coords`` and ``point_labels`` that SA-1B and this program write; "none", the file is only a list.

    Raises:
        PromptError: the file is in another format, or has no such prompts.
    """
    read_points = kind in ("points", "keypoints")
    found = read_detections(path, annotations)
    if found.nameless:
        raise PromptError(f"{path} does not name its photos; expected entries with file_name or image_id")
    ids = _image_ids(path, annotations)
    points = _points_by_name(path, kind, {number: name for name, number in ids.items()}) if read_points else {}
    images: dict[str, SourceImage] = {}
    for name in sorted(found.images):
        image = SourceImage(name, "", photo_hw=found.images[name].size_hw, image_id=ids.get(name))
        if kind == "boxes":
            entries = found.entries.get(name, ())
            image = replace(
                image, boxes=tuple(BoxPrompt(entry.category_id, entry.score, entry.box_xywh) for entry in entries)
            )
        elif read_points:
            image = replace(image, points=tuple(points.get(name, ())))
        images[name] = image
    return found, images


def images_of_prompt_file(images: Mapping[str, SourceImage], folder: str) -> Iterator[SourceImage]:
    """The images, found in the folder under the names that the file gives them."""
    store, root = open_source(folder)
    for name, image in images.items():
        if unsafe := unsafe_name(name):
            yield replace(image, path=name, refused=unsafe)
            continue
        path = f"{root.rstrip('/')}/{name}"
        try:
            info = store.info(path)
        except OSError as error:
            yield replace(image, path=store.full_path(path), refused=why_refused(error, f"it is not in {folder}"))
        else:
            yield replace(image, path=store.full_path(path), size=info["size"], version=version_of(info))


def _image_ids(path: Path, annotations: Path | None) -> dict[str, int]:
    """The source's own numbers of its images, so that results can be compared with it by number; none if they clash."""
    content = read_json(path)
    table = content if isinstance(content, dict) else read_json(annotations) if annotations else {}
    found: dict[str, int] = {}
    for image in table.get("images") or []:
        name, number = image.get("file_name"), image.get("id")
        if isinstance(name, str) and isinstance(number, int) and 0 <= number < 2**53:
            found[name] = number
    return found if len(set(found.values())) == len(found) else {}


def _points_by_name(path: Path, kind: str, names: Mapping[int, str]) -> dict[str, list[PointsPrompt]]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise PromptError(f"{path} is a results list, which has boxes only; expected a whole COCO file, or --use boxes")
    found: dict[str, list[PointsPrompt]] = defaultdict(list)
    for row in content["annotations"]:
        try:
            points = _keypoints(row) if kind == "keypoints" else _point_fields(row)
            prompt = PointsPrompt(int(row["category_id"]), float(row.get("score", 1.0)), points)
            name = names[row["image_id"]]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise PromptError(
                f"{path}: the {kind} of annotation {row.get('id')} are not as in COCO's format "
                f"({type(error).__name__}: {error})"
            ) from None
        if any(label == 1 for _, _, label in points):
            found[name].append(prompt)
    if not found:
        field = "keypoints" if kind == "keypoints" else "point_coords"
        raise PromptError(f"{path} has no annotation with {field}; give --use boxes, or another file")
    return found


def _keypoints(row: Mapping[str, Any]) -> tuple[tuple[float, float, int], ...]:
    """x, y and visibility in turn; 0 is not labelled."""
    flat = row.get("keypoints") or []
    if len(flat) % 3:
        raise ValueError(f"expected x, y and visibility for each, got {len(flat)} numbers")
    return _checked([(flat[at], flat[at + 1], 1) for at in range(0, len(flat), 3) if flat[at + 2] > 0])


def _point_fields(row: Mapping[str, Any]) -> tuple[tuple[float, float, int], ...]:
    coords = row.get("point_coords") or []
    labels = row.get("point_labels") or [1] * len(coords)
    return _checked([(x, y, label) for (x, y), label in zip(coords, labels, strict=True)])


def _checked(points: list[tuple[Any, Any, Any]]) -> tuple[tuple[float, float, int], ...]:
    found = tuple((float(x), float(y), int(label)) for x, y, label in points)
    if not all(math.isfinite(x) and math.isfinite(y) and label in (0, 1) for x, y, label in found):
        raise ValueError("coordinates must be finite and labels 0 or 1")
    return found
