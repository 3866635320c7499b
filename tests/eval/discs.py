"""A COCO-format folder made by formula: one photo with a large disc, a small one and a crowd region."""

import json

import numpy as np
from PIL import Image

from repvit_sam.masks import coco_bbox
from repvit_sam.rle import encode_rle

PHOTO_HW = (229, 301)  # of conftest's formula_photo


def disc(height=60, width=80, x=40, y=30, radius=20):
    rows, columns = np.mgrid[0:height, 0:width]
    return np.hypot(columns - x, rows - y) < radius


def disc_folder(folder, photo):
    (folder / "images").mkdir(parents=True)
    Image.fromarray(photo).save(folder / "images" / "photo.png")
    masks = {1: disc(*PHOTO_HW, 150, 110, 50), 2: disc(*PHOTO_HW, 20, 20, 5), 3: disc(*PHOTO_HW, 250, 200, 20)}
    annotations = []
    for number, mask in masks.items():
        annotations.append({
            "id": number, "image_id": 7, "category_id": 1, "iscrowd": int(number == 3), "area": int(mask.sum()),
            "bbox": coco_bbox(mask), "segmentation": encode_rle(mask),
        })  # fmt: skip
    content = {
        "images": [{"id": 7, "file_name": "photo.png", "height": PHOTO_HW[0], "width": PHOTO_HW[1]}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "disc"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def edit_annotations(folder, change):
    """Apply ``change``, which alters its argument, to the content of annotations.json."""
    path = folder / "annotations.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
