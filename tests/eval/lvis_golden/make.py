"""Makes annotations and results in LVIS's format, and the metrics that the original evaluator computes from them.

Not run by the tests. `lvis` 0.5.3 needs an environment of its own:

    python -m venv original
    original/bin/pip install --no-deps lvis==0.5.3
    original/bin/pip install numpy pycocotools
    original/bin/python tests/eval/lvis_golden/make.py

Writes, beside itself, annotations.json, results.json and figures.json. The last was made with NumPy 2.4.6 and
pycocotools 2.0.11.

The data covers: categories that are annotated, absent (neg_category_ids), not exhaustively annotated, neither;
annotated but never found, found but nowhere annotated; an image with 320 detections and ties where they are cut off; an
image without annotations; empty masks; a category that is not listed; ties of score; all three sizes and frequencies;
polygons and both kinds of RLE.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
from pycocotools import mask as coco_mask

HERE = Path(__file__).parent
HEIGHT, WIDTH = 230, 90
CATEGORY_IDS = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
NEVER_FOUND, NEVER_ANNOTATED, NOT_LISTED = 23, 29, 31
SIZES = ((7, 28), (17, 70), (47, 205))  # width and height in pixels: small, medium, large; narrow, so that RLE is short
CROWDED = 4  # the photo with more than 300 detections


def rectangle(x, y, width, height):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    mask[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = 1
    return mask


def rle(mask):
    encoded = coco_mask.encode(mask)
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}


def uncompressed(mask):
    """Lengths of runs down the columns, zeros first."""
    flat = np.concatenate([[0], mask.ravel(order="F")])
    changes = np.flatnonzero(np.diff(flat))
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *changes, mask.size]).tolist()}


def outline(kind, x, y, width, height):
    """The same rectangle in one of the three forms that annotations come in."""
    if kind == 0:
        return [[x, y, x + width, y, x + width, y + height, x, y + height]]
    mask = rectangle(x, y, width, height)
    return rle(mask) if kind == 1 else uncompressed(mask)


def made_annotations(chance):
    images, annotations = [], []
    annotated = [c for c in CATEGORY_IDS if c != NEVER_ANNOTATED]
    for image_id in range(1, 25):
        present = chance.choice(annotated, size=0 if image_id == 7 else chance.integers(1, 5), replace=False).tolist()
        others = [c for c in CATEGORY_IDS if c not in present]
        images.append({
            "id": image_id, "height": HEIGHT, "width": WIDTH,
            "neg_category_ids": chance.choice(others, size=2, replace=False).tolist(),
            "not_exhaustive_category_ids": [c for c in present if chance.random() < 0.3],
        })  # fmt: skip
        for category_id in present:
            for _ in range(chance.integers(1, 4)):
                width, height = (chance.choice(SIZES) * chance.uniform(0.9, 1.1, 2)).astype(int).tolist()
                x, y = int(chance.integers(0, WIDTH - width)), int(chance.integers(0, HEIGHT - height))
                kind = chance.integers(3)
                annotations.append({
                    "id": len(annotations) + 1, "image_id": image_id, "category_id": category_id,
                    "bbox": [x, y, width, height], "area": float(width * height),
                    "segmentation": outline(kind, x, y, width, height),
                })  # fmt: skip
    categories = [{"id": c, "name": f"thing {c}", "frequency": "rcf"[k % 3]} for k, c in enumerate(CATEGORY_IDS)]
    return {"images": images, "annotations": annotations, "categories": categories}


def made_results(chance, annotations):
    results = []
    for image in annotations["images"]:
        truths = [a for a in annotations["annotations"] if a["image_id"] == image["id"]]
        for _ in range(320 if image["id"] == CROWDED else chance.integers(4, 12)):
            category_id, box = int(chance.choice(CATEGORY_IDS)), chance.integers(0, 40, 4)
            if truths and chance.random() < 0.85:
                truth = truths[chance.integers(len(truths))]
                shift = chance.choice([0, 1, 3, 6])
                box = truth["bbox"] + chance.integers(-shift, shift + 1, 4)
                category_id = truth["category_id"] if chance.random() < 0.9 else category_id
            if category_id == NEVER_FOUND or chance.random() < 0.02:
                category_id = NOT_LISTED
            if chance.random() < 0.05:
                box = np.zeros(4, int)
            score = round(float(chance.random()), 2)
            mask = rectangle(*box.tolist())
            results.append(
                {"image_id": image["id"], "category_id": category_id, "segmentation": rle(mask), "score": score}
            )
    return [results[k] for k in chance.permutation(len(results))]


def original_figures(annotations_path, results):
    np.float = float  # gone since NumPy 1.24
    sys.modules.update({name: MagicMock() for name in ("cv2", "matplotlib", "matplotlib.pyplot", "matplotlib.patches")})
    from lvis import LVIS, LVISEval, LVISResults

    truth = LVIS(str(annotations_path))
    evaluator = LVISEval(truth, LVISResults(truth, results), "segm")
    evaluator.run()
    return {name: float(value) for name, value in evaluator.get_results().items()}


def write(name, content):
    (HERE / name).write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    chance = np.random.default_rng(4)
    annotations = made_annotations(chance)
    results = made_results(chance, annotations)
    write("annotations.json", annotations)
    write("results.json", results)
    write("figures.json", original_figures(HERE / "annotations.json", results))
