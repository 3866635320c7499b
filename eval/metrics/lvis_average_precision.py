"""Masks with scores -> LVIS's average precision, in which what nobody looked for is not counted as wrong.

In each photo only some of LVIS's 1200 categories were looked for. So, of the detections of a photo,

1. the 300 of best score count, of all categories together;
2. those of a category that is neither annotated there nor in ``neg_category_ids`` are ignored, as are empty masks;
3. those of a category in ``not_exhaustive_category_ids`` are ignored if they match no annotation.

The rest is COCO's. The original, the package ``lvis`` 0.5.3, fails with NumPy 1.24 and later and asks for OpenCV and
matplotlib. These rules around pycocotools give its figures (tests/eval/lvis_golden) and need nothing new, whereas
faster-coco-eval 1.8 leaves rule 1 to its caller, counts empty masks as wrong, and fails on a photo in which nothing is
annotated and only unverified categories are found.

Source: Gupta, Dollar, Girshick, LVIS: A Dataset for Large Vocabulary Instance Segmentation, CVPR 2019; lvis-api.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from pycocotools import mask as coco_mask

from .average_precision import Curves, Entry, Figures, check_results, evaluate, images_of, mean_of_defined, truths_of

LVIS_LIMIT = 300
FREQUENCIES = ("r", "c", "f")  # rare, common, frequent: by the number of training photos that show the category


def lvis_precision(annotations: Entry, results: Sequence[Entry], image_ids: Sequence[int]) -> Figures:
    """LVIS's table for masks, each figure 0 to 1: AP, AP50, AP75, APs, APm, APl, APr, APc, APf, AR@300, ARs@300 ...

    The figures of ``LVISEval(..., "segm")``, for v0.5 and v1. Arguments and errors as in
    ``average_precision.coco_precision``.

    Returns:
        None for a size or a frequency of which nothing is annotated.

    Raises:
        ValueError: also for annotations that are not LVIS's.
    """
    check_lvis(annotations, image_ids)
    images = images_of(annotations, image_ids)
    check_results(results, images)
    truths = _grouped((truth for truth in truths_of(annotations, images) if truth["area"] > 0), "category_id")
    found = _grouped(_verified(_best_of_each_photo(results), images, truths), "category_id")
    frequencies = {category["id"]: category["frequency"] for category in annotations["categories"]}
    # one category at a time: pycocotools keeps something for every pair of photo and category, 24 million in v1 val
    tables = [_of_category(category_id, images, truths[category_id], found[category_id]) for category_id in frequencies]
    curves = _side_by_side(tables)
    return {
        **curves.average_precision(),
        **{f"AP{name}": _mean_of_frequency(curves, frequencies.values(), name) for name in FREQUENCIES},
        **curves.average_recall((LVIS_LIMIT,)),
    }


def check_lvis(annotations: Entry, image_ids: Sequence[int]) -> None:
    """The annotations say what LVIS's rules ask for.

    Raises:
        ValueError: they do not.
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


def _best_of_each_photo(results: Iterable[Entry]) -> Iterator[Entry]:
    for of_photo in _grouped(results, "image_id").values():
        yield from sorted(of_photo, key=lambda result: -result["score"])[:LVIS_LIMIT]


def _verified(
    results: Iterable[Entry], images: Mapping[int, Entry], truths: Mapping[int, Sequence[Entry]]
) -> Iterator[Entry]:
    """Rule 2."""
    present = {(truth["image_id"], category_id) for category_id, group in truths.items() for truth in group}
    absent = {
        (image_id, category_id) for image_id, image in images.items() for category_id in image["neg_category_ids"]
    }
    looked_for = present | absent
    for result in results:
        if (result["image_id"], result["category_id"]) in looked_for and coco_mask.area(result["segmentation"]):
            yield result


def _of_category(
    category_id: int, images: Mapping[int, Entry], truths: Sequence[Entry], results: Sequence[Entry]
) -> Curves:
    """On the photos in which anything of the category is annotated or found: the others change nothing."""
    here = {image_id: images[image_id] for image_id in sorted({entry["image_id"] for entry in (*truths, *results)})}
    incomplete = {(i, category_id) for i, image in here.items() if category_id in image["not_exhaustive_category_ids"]}
    return evaluate(here, truths, results, [category_id], [LVIS_LIMIT], incomplete)


def _side_by_side(tables: Sequence[Curves]) -> Curves:
    """Tables of one category each as one: in both arrays the category is the third axis from the end."""
    return Curves(
        np.concatenate([table.precision for table in tables], axis=-3),
        np.concatenate([table.recall for table in tables], axis=-3),
    )


def _mean_of_frequency(curves: Curves, frequencies: Iterable[str], name: str) -> float | None:
    chosen = [k for k, frequency in enumerate(frequencies) if frequency == name]
    return mean_of_defined(curves.precision[:, :, chosen, 0, -1])


def _grouped(entries: Iterable[Entry], key: str) -> defaultdict[int, list[Entry]]:
    """Entries by one of their values, each group in their order."""
    groups: defaultdict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry[key]].append(entry)
    return groups
