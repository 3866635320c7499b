"""LVIS's average precision of masks with scores: detections of categories that nobody looked for are ignored.

In each image only some of LVIS's 1200 categories were looked for. So, of the detections in an image,

1. only the 300 with the highest scores count, of all categories together;
2. those of a category that is neither annotated there nor in ``neg_category_ids`` are ignored, and so are empty masks;
3. those of a category in ``not_exhaustive_category_ids`` are ignored if they match no annotation.

The rest is as in COCO. The original package, ``lvis`` 0.5.3, fails with NumPy 1.24 and later and requires OpenCV and
matplotlib. These rules on top of pycocotools give the same numbers (tests/eval/lvis_golden) without a new dependency.
faster-coco-eval 1.8 leaves rule 1 to its caller, counts empty masks as wrong, and fails on an image that has no
annotations and only detections of unverified categories.

Source: Gupta, Dollar, Girshick, LVIS: A Dataset for Large Vocabulary Instance Segmentation, CVPR 2019; lvis-api.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from pycocotools import mask as coco_mask

from . import Metrics
from .average_precision import Curves, evaluate, mean_of_defined
from .coco_entries import Entry, check_results, images_of, truths_of

LVIS_LIMIT = 300
FREQUENCIES = ("r", "c", "f")  # rare, common, frequent: by the number of training images with the category


def lvis_precision(annotations: Entry, results: Sequence[Entry], image_ids: Sequence[int]) -> Metrics:
    """LVIS's metrics for masks, each from 0 to 1: AP, AP50, AP75, APs, APm, APl, APr, APc, APf, AR@300, ARs@300 ...

    Equal to ``LVISEval(..., "segm")``, for v0.5 and v1. Arguments and errors as in
    ``average_precision.coco_precision``.

    Returns:
        A value is None where nothing of that size or frequency is annotated.

    Raises:
        ValueError: also if the annotations are not in LVIS's format.
    """
    check_lvis(annotations, image_ids)
    images = images_of(annotations, image_ids)
    check_results(results, images)
    truths = _grouped((truth for truth in truths_of(annotations, images) if truth["area"] > 0), "category_id")
    found = _grouped(_of_verified_categories(_top_detections(results), images, truths), "category_id")
    frequencies = {category["id"]: category["frequency"] for category in annotations["categories"]}
    # one category at a time: pycocotools keeps an entry for every pair of image and category, 24 million in v1 val
    curves_of_each = [
        _evaluate_category(category_id, images, truths[category_id], found[category_id]) for category_id in frequencies
    ]
    curves = _concatenated(curves_of_each)
    return {
        **curves.average_precision(),
        **{f"AP{name}": _mean_of_frequency(curves, frequencies.values(), name) for name in FREQUENCIES},
        **curves.average_recall((LVIS_LIMIT,)),
    }


def check_lvis(annotations: Entry, image_ids: Sequence[int]) -> None:
    """The annotations have the keys that LVIS's rules need.

    Raises:
        ValueError: a key is missing.
    """
    hint = "are these COCO's annotations?"
    if not annotations.get("categories"):
        raise ValueError("LVIS annotations list categories, these do not")
    for category in annotations["categories"]:
        if category.get("frequency") not in FREQUENCIES:
            raise ValueError(f"LVIS categories have a 'frequency' of r, c or f; {category['id']} has none: {hint}")
    for image_id, image in images_of(annotations, image_ids).items():
        for key in ("neg_category_ids", "not_exhaustive_category_ids"):
            if key not in image:
                raise ValueError(f"LVIS images have '{key}'; {image_id} has none: {hint}")


def _top_detections(results: Iterable[Entry]) -> Iterator[Entry]:
    """Rule 1."""
    for of_image in _grouped(results, "image_id").values():
        yield from sorted(of_image, key=lambda result: -result["score"])[:LVIS_LIMIT]


def _of_verified_categories(
    results: Iterable[Entry], images: Mapping[int, Entry], truths: Mapping[int, Sequence[Entry]]
) -> Iterator[Entry]:
    """Rule 2."""
    annotated = {(truth["image_id"], category_id) for category_id, group in truths.items() for truth in group}
    absent = {
        (image_id, category_id) for image_id, image in images.items() for category_id in image["neg_category_ids"]
    }
    looked_for = annotated | absent
    for result in results:
        if (result["image_id"], result["category_id"]) in looked_for and coco_mask.area(result["segmentation"]):
            yield result


def _evaluate_category(
    category_id: int, images: Mapping[int, Entry], truths: Sequence[Entry], results: Sequence[Entry]
) -> Curves:
    """Only on images where the category is annotated or detected: the others do not change the result."""
    shown = {image_id: images[image_id] for image_id in sorted({entry["image_id"] for entry in (*truths, *results)})}
    incomplete = {(i, category_id) for i, image in shown.items() if category_id in image["not_exhaustive_category_ids"]}
    return evaluate(shown, truths, results, [category_id], [LVIS_LIMIT], incomplete)


def _concatenated(parts: Sequence[Curves]) -> Curves:
    """Joined along the categories, in both arrays the third axis from the end."""
    return Curves(
        np.concatenate([part.precision for part in parts], axis=-3),
        np.concatenate([part.recall for part in parts], axis=-3),
    )


def _mean_of_frequency(curves: Curves, frequencies: Iterable[str], name: str) -> float | None:
    chosen = [k for k, frequency in enumerate(frequencies) if frequency == name]
    return mean_of_defined(curves.precision[:, :, chosen, 0, -1])


def _grouped(entries: Iterable[Entry], key: str) -> defaultdict[int, list[Entry]]:
    """Value of ``key`` -> entries with it, in their order."""
    groups: defaultdict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry[key]].append(entry)
    return groups
