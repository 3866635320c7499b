"""A photo and its prompts -> masks: everything, or one for each box or set of points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..detection_files import BoxEntry, FileDetections
from ..errors import PhotoError, PromptError
from ..jobs.chosen_model import ChosenModel
from ..mask_generator import SamAutomaticMaskGenerator
from ..masks import Mask, best_mask, coco_bbox
from ..photo import Photo
from ..rle import encode_rle
from .image_masks import MaskRecord
from .sources.source_image import PointsPrompt, SourceImage

_PIXELS_AT_ONCE = 64_000_000  # of masks of one photo, a byte each: 160 masks of VGA size, 5 of 12 megapixels


class MaskMaker:
    """A loaded model, for one process.

    Args:
        everything: arguments of ``SamAutomaticMaskGenerator``.
        min_score, most: which boxes of an image are taken, as in ``FileDetections.on_photo``.
    """

    def __init__(self, model: ChosenModel, everything: Mapping[str, Any], min_score: float, most: int) -> None:
        self._predictor = model.predictor()
        self._generator = SamAutomaticMaskGenerator(self._predictor.model, output_mode="coco_rle", **everything)
        self._min_score = min_score
        self._most = most

    def masks_of(self, image: SourceImage, photo: Photo) -> tuple[MaskRecord, ...]:
        """The masks of an image, in the order of its prompts, or best first.

        Raises:
            PhotoError: not enough memory for it.
            PromptError: a prompt lies outside of the photo, or is for a photo of another size.
        """
        try:
            if image.boxes is None and image.points is None:
                return self._everything(photo)
            _check_size(image, photo)
            return self._of_boxes(image, photo) if image.points is None else self._of_points(image.points, photo)
        except MemoryError:
            raise PhotoError(f"not enough memory for {photo.shape[1]}x{photo.shape[0]} pixels") from None
        finally:
            self._predictor.reset_image()

    def _everything(self, photo: Photo) -> tuple[MaskRecord, ...]:
        found = []
        for record in self._generator.generate(photo):
            x, y, width, height = record["bbox"]
            found.append(
                MaskRecord(
                    record["segmentation"],
                    int(record["area"]),
                    (x, y, width + 1, height + 1),  # segment_anything's is a pixel shorter than COCO's
                    float(record["predicted_iou"]),
                    float(record["stability_score"]),
                    points=tuple((float(px), float(py), 1) for px, py in record["point_coords"]),
                )
            )
        return tuple(found)

    def _of_boxes(self, image: SourceImage, photo: Photo) -> tuple[MaskRecord, ...]:
        photo_hw = (photo.shape[0], photo.shape[1])
        entries = [BoxEntry(None, None, box.category_id, box.box_xywh, box.score) for box in image.boxes or ()]
        of_file = FileDetections(Path("the file of prompts"), entries, {})
        found = of_file.on_photo(photo_hw, self._min_score, self._most)
        if not len(found):
            return ()
        self._predictor.set_image(photo)
        boxes = found.boxes_xyxy.round(2)  # as they are written
        masks = []
        for part in _parts(len(boxes), photo_hw, masks_each=1):
            predicted, ious, _ = self._predictor.predict(box=boxes[part], multimask_output=False, batched=True)
            for number, mask, iou in zip(range(len(boxes))[part], predicted[:, 0], ious[:, 0], strict=True):
                category, score = int(found.category_ids[number]), float(found.scores[number])
                box = tuple(boxes[number].tolist())
                masks.append(_record(mask, float(iou), category, score, box_xyxy=box))
        return tuple(masks)

    def _of_points(self, prompts: Sequence[PointsPrompt], photo: Photo) -> tuple[MaskRecord, ...]:
        if not prompts:
            return ()
        self._predictor.set_image(photo)
        found: dict[int, MaskRecord] = {}
        # prompts of as many points together: points of padding would change a mask
        for count in sorted({len(prompt.points) for prompt in prompts}):
            single = count == 1  # it may mean an object or a part of it: the best of three masks
            numbers = [number for number, prompt in enumerate(prompts) if len(prompt.points) == count]
            for part in _parts(len(numbers), (photo.shape[0], photo.shape[1]), masks_each=3 if single else 1):
                chosen = [prompts[number] for number in numbers[part]]
                points = np.array([prompt.points for prompt in chosen], dtype=np.float64)  # (B, N, 3)
                masks, ious, _ = self._predictor.predict(
                    points[..., :2], points[..., 2].astype(np.int64), multimask_output=single, batched=True
                )
                for number, prompt, several, rated in zip(numbers[part], chosen, masks, ious, strict=True):
                    best = best_mask(rated)
                    found[number] = _record(
                        several[best], float(rated[best]), prompt.category_id, prompt.score, points=prompt.points
                    )
        return tuple(found[number] for number in sorted(found))


def _check_size(image: SourceImage, photo: Photo) -> None:
    height, width = photo.shape[:2]
    if image.photo_hw not in (None, (height, width)):
        assert image.photo_hw
        raise PromptError(
            f"its prompts are for {image.photo_hw[1]}x{image.photo_hw[0]} pixels, it has {width}x{height} "
            "(after EXIF orientation)"
        )


def _parts(count: int, photo_hw: tuple[int, int], masks_each: int) -> Iterator[slice]:
    at_once = max(1, min(64, _PIXELS_AT_ONCE // (photo_hw[0] * photo_hw[1] * masks_each)))
    for start in range(0, count, at_once):
        yield slice(start, min(start + at_once, count))


def _record(
    mask: Mask,
    predicted_iou: float,
    category_id: int,
    score: float,
    points: tuple[tuple[float, float, int], ...] = (),
    box_xyxy: tuple[float, ...] | None = None,
) -> MaskRecord:
    area, bbox = int(np.count_nonzero(mask)), tuple(coco_bbox(mask))
    return MaskRecord(encode_rle(mask), area, bbox, predicted_iou, None, category_id, score, points, box_xyxy)
