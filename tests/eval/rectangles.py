"""Annotations and results made of rectangles, and the files of lvis_golden."""

import json
from pathlib import Path

import numpy as np

from repvit_sam.rle import encode_rle

PHOTO_HW = (200, 240)
ALL = (0, 0, PHOTO_HW[1], PHOTO_HW[0])


def annotated(image_id, box, category_id=1, **more):
    x, y, width, height = box
    outline = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    return {
        "image_id": image_id, "category_id": category_id, "segmentation": outline, "area": width * height, **more
    }  # fmt: skip


def found(image_id, score, box, category_id=1):
    x, y, width, height = box
    mask = np.zeros(PHOTO_HW, bool)
    mask[y : y + height, x : x + width] = True
    return {"image_id": image_id, "category_id": category_id, "segmentation": encode_rle(mask), "score": score}


def coco_file(image_ids, *annotations, categories=(1, 2, 3)):
    return {
        "images": [{"id": number, "height": PHOTO_HW[0], "width": PHOTO_HW[1]} for number in image_ids],
        "annotations": [{"id": number, **one} for number, one in enumerate(annotations, 1)],
        "categories": [{"id": number, "name": f"thing {number}"} for number in categories],
    }


def golden(name):
    """The content of lvis_golden/NAME.json: annotations, results or figures."""
    return json.loads((Path(__file__).parent / "lvis_golden" / f"{name}.json").read_text())
