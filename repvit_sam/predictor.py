"""``SamPredictor``: encode a photo once, then predict masks for any prompts, with segment_anything's signatures.

Beyond the original: a photo may be anything ``read_photo`` takes; ``predict`` takes a batch of boxes or of point sets
in one call; ``set_image_batch`` and ``predict_batch`` work as in SAM 2; embeddings are saved and loaded; errors say
what was expected. It runs on any backend (backends/), and imports torch only for one that needs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .backends import Backend, as_backend, torch_model_of
from .canvas import LOGITS_STRIDE, CanvasFit, photo_to_canvas
from .detections import DetectedMasks
from .embedding import EncodedPhoto, as_numpy, load_embedding, save_embedding
from .errors import PhotoError, PhotoNotSetError, PromptError
from .masks import ALL_MASKS, MASK_THRESHOLD, logits_in_parts, logits_to_photo, mask_slice, write_mask
from .photo import PhotoSource, read_photo
from .prompts import CanvasPrompts, Prompts, check_prompts
from .refine import Prediction, refine_prediction

if TYPE_CHECKING:
    import torch
    from segment_anything.modeling import Sam
    from segment_anything.utils.transforms import ResizeLongestSide
    from torch import Tensor

    from .detections import Detector

_PROMPTS_PER_BATCH = 32  # decoded at once; masks.py limits the memory of logits at photo size


class SamPredictor:
    """Encode a photo once, then predict masks for as many prompts as you like.

    A predictor holds the photo that is set: give each thread one of its own. They may share the model.

    Args:
        sam_model: a model of this package, on any backend, or a ``Sam`` of segment_anything; make a new predictor when
            its weights change.
        bit_equal: decode and resize as segment_anything does, to the bit, in three times the time. Without it logits
            differ by up to 5e-4 (they go up to 50). PyTorch models only.

    Raises:
        ValueError: ``bit_equal`` for a model that does not run on PyTorch.

    Attributes:
        model: the model it was made with.
        backend: what encodes and decodes: the model itself, or PyTorch around it.

    Example:
        >>> import repvit_sam
        >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu"))
        >>> predictor.set_image(repvit_sam.example_photo("coffee"))
        >>> masks, iou_predictions, _ = predictor.predict(box=[170, 12, 425, 282], multimask_output=False)
        >>> masks.shape, masks.dtype
        ((1, 400, 600), dtype('bool'))
    """

    def __init__(self, sam_model: Sam | Backend, bit_equal: bool = False) -> None:
        self.model: Any = sam_model
        self.backend = as_backend(sam_model, bit_equal)
        self._bit_equal = bit_equal
        self._encoded: tuple[EncodedPhoto, ...] = ()

    @cached_property
    def transform(self) -> ResizeLongestSide:
        """For scripts that call predictor.transform.apply_boxes_torch(...) before predict_torch."""
        from segment_anything.utils.transforms import ResizeLongestSide

        return ResizeLongestSide(self._canvas_size)

    @property
    def device(self) -> torch.device | str:
        """Where the backend computes: a ``torch.device`` on PyTorch."""
        return self.backend.device

    @property
    def is_image_set(self) -> bool:
        """Whether exactly one photo is set."""
        return len(self._encoded) == 1

    @property
    def encoded(self) -> EncodedPhoto:
        """The photo that is set. Keep it and assign it later to set the photo again without encoding.

        Raises:
            PhotoNotSetError: no photo is set, or several are.
        """
        if len(self._encoded) > 1:
            raise PhotoNotSetError("several photos are set; call predict_batch, or set one with set_image(photo)")
        if not self._encoded:
            raise PhotoNotSetError("no photo is set; call set_image(photo) first")
        return self._encoded[0]

    @encoded.setter
    def encoded(self, encoded: EncodedPhoto) -> None:
        """Set a photo that a predictor on the same model encoded before."""
        self._encoded = (encoded,)

    @property
    def original_size(self) -> tuple[int, int]:
        """(H, W) of the photo."""
        return self.encoded.fit.photo_hw

    @property
    def input_size(self) -> tuple[int, int]:
        """(H, W) of the photo on the canvas."""
        return self.encoded.fit.content_hw

    @property
    def features(self) -> Tensor | NDArray[np.float32]:
        """The image embedding, under the name that segment_anything uses; a tensor on PyTorch, else a NumPy array."""
        return self.encoded.image_embedding

    def set_image(self, image: PhotoSource, image_format: str = "RGB") -> None:
        """Encode a photo; all prompts after this call refer to it. Its pixels are kept for ``refine=True``.

        Args:
            image: whatever ``read_photo`` takes: (H, W, 3) uint8, a path, bytes, a PIL image, ...
            image_format: order of the channels of an array or tensor: "RGB", or "BGR" as OpenCV reads them. Files,
                bytes and PIL images say themselves what they hold, and are always read as RGB.

        Raises:
            PhotoError: the image cannot be read, or the format is unknown. A photo set before stays set.

        Example:
            >>> import numpy as np, repvit_sam
            >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu", canvas=256))
            >>> predictor.set_image(np.zeros((229, 301, 3), dtype=np.uint8))
            >>> predictor.original_size
            (229, 301)
        """
        self._encoded = (self._encode(self._read(image, image_format)),)

    def set_torch_image(self, transformed_image: Tensor, original_image_size: tuple[int, ...]) -> None:
        """Encode a photo that is resized already. PyTorch models only.

        Args:
            transformed_image: (1, 3, H, W) RGB in 0..255, long side equal to the canvas.
            original_image_size: (H, W) of the photo before resizing.

        Raises:
            PhotoError: a tensor of another shape.
            ValueError: the model does not run on PyTorch.
        """
        import torch

        model = torch_model_of(self.backend, "set_torch_image", "set_image")
        side = self._canvas_size
        shape = tuple(transformed_image.shape)
        if len(shape) != 4 or shape[:2] != (1, 3) or max(shape[2:]) != side:
            raise PhotoError(f"transformed_image must have shape (1, 3, H, W) with a long side of {side}, got {shape}")
        height, width = (int(n) for n in original_image_size)
        fit = CanvasFit((height, width), (shape[2], shape[3]), side)
        # a tensor may be on any device and of any float type, so SAM's own preprocess normalises and pads it
        with torch.no_grad():
            embedding = model.image_encoder(model.preprocess(transformed_image.to(model.device)))
        self._encoded = (EncodedPhoto(embedding.contiguous(), fit),)

    def set_image_batch(self, image_list: Sequence[PhotoSource], image_format: str = "RGB") -> None:
        """Encode several photos, of any sizes, for ``predict_batch``; on CUDA eight at once.

        Args:
            image_list: photos, each anything ``read_photo`` takes.
            image_format: as in ``set_image``, for all of them.

        Raises:
            PhotoError: no list, an empty one, or a photo that cannot be read. Photos set before stay set.

        Example:
            >>> import repvit_sam
            >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu", canvas=512))
            >>> predictor.set_image_batch([repvit_sam.example_photo("coffee"), repvit_sam.example_photo("chelsea")])
            >>> predictor.is_image_set
            False
        """
        if isinstance(image_list, (str, bytes, os.PathLike)) or not len(image_list):
            raise PhotoError(f"image_list must be a list of one or more photos, got {image_list!r:.50}")
        photos = [self._read(image, image_format) for image in image_list]
        self._encoded = tuple(self._encode_all(photos))

    def predict(
        self,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        mask_input: Any = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        *,
        batched: bool | None = None,
        refine: bool = False,
    ) -> Prediction:
        """Masks for one prompt, or for a batch of them, on the photo that is set.

        Args:
            point_coords: (N, 2) x and y in photo pixels; (B, N, 2) for a batch.
            point_labels: (N,) or (B, N): 1 object, 0 background, -1 padding: SAM's token for no
                point. It moves a mask a little (IoU 0.97 for one, 0.5 for three); same numbers of points need none.
            box: (4,) XYXY in photo pixels; (B, 4) for a batch.
            mask_input: (1, h, w) logits, one of those returned before; (B, 1, h, w) for a batch.
            multimask_output: three masks for each prompt, to choose from by predicted IoU: right for an ambiguous
                prompt such as a single point. False gives one mask, which is better for a box or several points.
            return_logits: return float logits instead of bool masks.
            batched: whether the results have a leading batch axis. None decides by the shapes, and takes a single box
                of shape (1, 4) as one prompt, as segment_anything does; pass True when B varies and may be 1.
            refine: look again at each object: encode the square around it, and merge both answers (``refine.py``).
                Better masks, above all of small objects in a box, for one more encoding a prompt, which takes as long
                as ``set_image``; none where that square is the whole photo. Of three masks the best rated is refined.
                The ratings of three masks stay as they are, that of a single mask takes in both answers.

        Returns:
            masks (C, H, W) bool, predicted IoU (C,) and low-resolution logits (C, h, w) float32, to be passed as
            ``mask_input`` later; each with a leading B for a batch. C is 3 or 1; h and w are a quarter of the canvas.

        Raises:
            PhotoNotSetError: before ``set_image``; or ``refine`` after ``load_embedding`` or ``set_torch_image``, where
                the photo itself is not known.
            PromptError: a prompt of the wrong shape, type or range.

        Example:
            >>> import repvit_sam
            >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu"))
            >>> predictor.set_image(repvit_sam.example_photo("coffee"))
            >>> masks, iou_predictions, low_res_logits = predictor.predict([[300, 200]], [1])  # one point on the cup
            >>> masks.shape, iou_predictions.shape, low_res_logits.shape
            ((3, 400, 600), (3,), (3, 256, 256))
            >>> boxes = [[170, 12, 425, 282], [0, 0, 90, 80]]
            >>> predictor.predict(box=boxes, multimask_output=False)[0].shape
            (2, 1, 400, 600)
            >>> spoon = [395, 95, 575, 145]
            >>> predictor.predict(box=spoon, multimask_output=False, refine=True)[0].shape
            (1, 400, 600)
        """
        encoded = self.encoded
        prompts = check_prompts(point_coords, point_labels, box, mask_input, encoded.fit, batched)
        return self._predict(encoded, prompts, multimask_output, return_logits, refine)

    def refine(
        self,
        mask_input: Any,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        return_logits: bool = False,
    ) -> Prediction:
        """A second look at an existing mask: encode the square around it, decode it there again, and merge both.

        ``predict(..., refine=True)`` does it for the best rated mask of a prompt; this for any mask.

        Args:
            mask_input: (1, h, w) logits of an earlier prediction; (B, 1, h, w) for a batch.
            point_coords, point_labels, box: the prompts that it came from, if there were any, as in ``predict``.
            return_logits: return float logits instead of bool masks.

        Returns:
            masks (1, H, W), predicted IoU (1,) and low-resolution logits (1, h, w), each with a leading B for a batch.
            Where the square is the whole photo, the mask is the given one and its predicted IoU NaN.

        Raises:
            PhotoNotSetError: before ``set_image``, or where the photo itself is not known (see ``predict``).
            PromptError: no mask, or a prompt of the wrong shape, type or range.

        Example:
            >>> import repvit_sam
            >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu"))
            >>> predictor.set_image(repvit_sam.example_photo("coffee"))
            >>> spoon = [395, 95, 575, 145]
            >>> _, _, low_res_logits = predictor.predict(box=spoon)  # three masks
            >>> masks, _, _ = predictor.refine(low_res_logits[2:3], box=spoon)
            >>> masks.shape
            (1, 400, 600)
        """
        encoded = self.encoded
        prompts = check_prompts(point_coords, point_labels, box, mask_input, encoded.fit)
        if prompts.mask_input is None:
            raise PromptError("refine needs mask_input, logits of an earlier prediction; for prompts call predict")
        shape = (prompts.count, 1, *encoded.fit.photo_hw)
        masks = np.empty(shape, dtype=np.float32 if return_logits else np.bool_)
        for mask, low_res_logits in zip(masks, prompts.mask_input, strict=True):
            logits = logits_to_photo(low_res_logits[None], encoded.fit)[0]
            mask[:] = logits if return_logits else logits > MASK_THRESHOLD
        unrated = np.full((prompts.count, 1), np.nan, dtype=np.float32)
        given = (masks, unrated, prompts.mask_input)
        refined = refine_prediction(self.backend, encoded, prompts, given, return_logits)
        return refined if prompts.batched else (refined[0][0], refined[1][0], refined[2][0])

    def predict_text(
        self,
        text: str | Sequence[str],
        detector: Detector,
        box_threshold: float | None = None,
        text_threshold: float | None = None,
        *,
        refine: bool = False,
    ) -> DetectedMasks:
        """A mask for everything in the photo that a text names: a detector gives boxes, this model a mask for each.

        Args:
            text: labels separated by full stops, commas or semicolons, "cat. remote control."; or a list of labels.
            detector: of ``repvit_sam.load_text_detector``, or any object with its method ``detect``.
            box_threshold, text_threshold: scores that boxes and labels must exceed; None takes the detector's own.
            refine: as in ``predict``.

        Returns:
            masks (N, H, W), labels, scores, boxes and predicted IoU, highest score first; N is 0 where nothing is
            found.

        Raises:
            PhotoNotSetError: before ``set_image``, or where the photo itself is not known (see ``predict``).
            PromptError: no label in the text, or more than the detector reads.

        Example:
            >>> import numpy as np, repvit_sam
            >>> class Cups:  # in place of repvit_sam.load_text_detector("IDEA-Research/grounding-dino-tiny")
            ...     def detect(self, photo, text, box_threshold=None, text_threshold=None):
            ...         boxes, scores = np.array([[170.0, 12, 425, 282]]), np.array([0.9])
            ...         return repvit_sam.Detections(boxes, ("cup",), scores, np.array([1]))
            >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu"))
            >>> predictor.set_image(repvit_sam.example_photo("coffee"))
            >>> found = predictor.predict_text("cup. spoon.", Cups())
            >>> found.masks.shape, found.labels, found.scores
            ((1, 400, 600), ('cup',), array([0.9]))
        """
        photo = self.encoded.photo
        if photo is None:
            raise PhotoNotSetError(
                "a text needs the photo, but only its embedding is set; call set_image(photo) for predict_text"
            )
        found = detector.detect(photo, text, box_threshold, text_threshold)
        masks, iou_predictions, _ = self.predict(
            box=found.boxes_xyxy, multimask_output=False, batched=True, refine=refine
        )
        return DetectedMasks(masks[:, 0], found.labels, found.scores, found.boxes_xyxy, iou_predictions[:, 0])

    def predict_torch(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As ``predict``, for tensors on the model's device. PyTorch models only.

        Args:
            point_coords: (B, N, 2) x and y in pixels of the canvas, as ``self.transform`` gives them.
            point_labels: (B, N): 1 object, 0 background, -1 padding.
            boxes: (B, 4) XYXY in pixels of the canvas.
            mask_input: (B, 1, h, w) or (1, 1, h, w) logits of an earlier prediction.
            multimask_output, return_logits: as in ``predict``.

        Returns:
            masks (B, C, H, W), predicted IoU (B, C), low-resolution logits (B, C, h, w); C is 3 or 1.

        Raises:
            PhotoNotSetError: before ``set_image``.
            PromptError: points without labels; masks of another number than the prompts.
            ValueError: the model does not run on PyTorch.

        Example:
            >>> import repvit_sam, torch
            >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu", canvas=512))
            >>> predictor.set_image(repvit_sam.example_photo("coffee"))
            >>> boxes = torch.tensor([[170.0, 12, 425, 282], [0, 0, 90, 80]])
            >>> on_canvas = predictor.transform.apply_boxes_torch(boxes, predictor.original_size)
            >>> masks, _, _ = predictor.predict_torch(None, None, on_canvas, multimask_output=False)
            >>> masks.shape
            torch.Size([2, 1, 400, 600])
        """
        torch_model_of(self.backend, "predict_torch", "predict")
        encoded = self.encoded
        if point_coords is not None and point_labels is None:
            raise PromptError("point_coords need point_labels: 1 for the object, 0 for background")
        given = point_coords if point_coords is not None else boxes
        if mask_input is not None and given is not None and len(mask_input) not in (1, len(given)):
            raise PromptError(
                f"mask_input must have one mask, or one for each of the {len(given)} prompts, got {len(mask_input)}"
            )
        prompts = CanvasPrompts(point_coords, point_labels, boxes, mask_input)
        low_res_logits, iou_predictions = self.backend.decode(
            encoded.image_embedding, prompts, mask_slice(multimask_output)
        )
        logits = logits_to_photo(low_res_logits, encoded.fit)
        return logits if return_logits else logits > MASK_THRESHOLD, iou_predictions, low_res_logits

    def predict_batch(
        self,
        point_coords_batch: Sequence[Any] | None = None,
        point_labels_batch: Sequence[Any] | None = None,
        box_batch: Sequence[Any] | None = None,
        mask_input_batch: Sequence[Any] | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        *,
        refine: bool = False,
    ) -> tuple[list[NDArray[Any]], list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """``predict`` for each photo of ``set_image_batch``.

        Args:
            point_coords_batch, point_labels_batch, box_batch, mask_input_batch: lists with one entry for each photo,
                each what ``predict`` takes (an entry may be None).
            multimask_output, return_logits, refine: as in ``predict``.

        Returns:
            three lists with one entry for each photo: masks, predicted IoU, low-resolution logits, as ``predict``
            returns them.

        Raises:
            PhotoNotSetError: before ``set_image_batch``.
            PromptError: a list of another length, or a prompt of the wrong shape, type or range.

        Example:
            >>> import repvit_sam
            >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu", canvas=512))
            >>> predictor.set_image_batch([repvit_sam.example_photo("coffee"), repvit_sam.example_photo("chelsea")])
            >>> boxes = [[170, 12, 425, 282], [80, 20, 400, 299]]
            >>> masks, _, _ = predictor.predict_batch(box_batch=boxes, multimask_output=False)
            >>> [mask.shape for mask in masks]
            [(1, 400, 600), (1, 300, 451)]
        """
        if not self._encoded:
            raise PhotoNotSetError("no photos are set; call set_image_batch([photo, ...]) first")
        columns = (point_coords_batch, point_labels_batch, box_batch, mask_input_batch)
        for column in columns:
            if column is not None and len(column) != len(self._encoded):
                raise PromptError(
                    f"each list must have one entry for each photo, {len(self._encoded)} here, got {len(column)}"
                )
        results = []
        for index, encoded in enumerate(self._encoded):
            coords, labels, box, mask = (None if column is None else column[index] for column in columns)
            prompts = check_prompts(coords, labels, box, mask, encoded.fit)
            results.append(self._predict(encoded, prompts, multimask_output, return_logits, refine))
        masks, iou_predictions, low_res_logits = (list(column) for column in zip(*results, strict=True))
        return masks, iou_predictions, low_res_logits

    def predict_all(
        self, point_coords: Any = None, point_labels: Any = None, box: Any = None, mask_input: Any = None
    ) -> tuple[Any, Any]:
        """All four low-resolution masks for one prompt, to choose from without a second call.

        Args:
            point_coords, point_labels, box, mask_input: as ``predict`` takes them, for one prompt.

        Returns:
            low_res_logits (4, h, w) and predicted IoU (4,), as the backend's own arrays: at index 0 the mask of
            ``multimask_output=False``, then the three of ``multimask_output=True``.
            ``repvit_sam.masks.logits_to_photo`` resizes them to the photo.

        Raises:
            PhotoNotSetError: before ``set_image``.
            PromptError: a prompt of the wrong shape, type or range, or a batch of prompts.

        Example:
            >>> import repvit_sam
            >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu"))
            >>> predictor.set_image(repvit_sam.example_photo("coffee"))
            >>> low_res_logits, iou_predictions = predictor.predict_all([[300, 200]], [1])
            >>> tuple(low_res_logits.shape), tuple(iou_predictions.shape)
            ((4, 256, 256), (4,))
        """
        encoded = self.encoded
        prompts = check_prompts(point_coords, point_labels, box, mask_input, encoded.fit)
        if prompts.batched:
            raise PromptError(f"predict_all takes one prompt, got a batch of {prompts.count}; call it for each of them")
        low_res_logits, iou_predictions = self.backend.decode(
            encoded.image_embedding, prompts.on_canvas(encoded.fit), ALL_MASKS
        )
        return low_res_logits[0], iou_predictions[0]

    def get_image_embedding(self) -> Tensor | NDArray[np.float32]:
        """The image embedding (1, 256, S/16, S/16) of the photo that is set; S is the side of the canvas."""
        return self.encoded.image_embedding

    def save_embedding(self, path: str | os.PathLike[str]) -> None:
        """Write the encoded photo to a safetensors file (4 MB), to predict later without encoding again.

        Raises:
            PhotoNotSetError: before ``set_image``.
            OSError: the file cannot be written.

        Example:
            >>> import repvit_sam, tempfile
            >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu"))
            >>> predictor.set_image(repvit_sam.example_photo("coffee"))
            >>> path = tempfile.mkdtemp() + "/coffee.safetensors"
            >>> predictor.save_embedding(path)
            >>> predictor.reset_image()
            >>> predictor.load_embedding(path)
            >>> predictor.original_size
            (400, 600)
        """
        save_embedding(self.encoded, path, self.backend.fingerprint())

    def load_embedding(self, path: str | os.PathLike[str]) -> None:
        """Set the photo from a file that ``save_embedding`` wrote (see there for an example).

        Raises:
            CheckpointError: the file is missing or damaged, or was made by another encoder or on another canvas than
                this model's.
        """
        embedding, fit = load_embedding(path, self.backend.fingerprint(), self._canvas_size)
        self._encoded = (EncodedPhoto(self.backend.from_numpy(embedding), fit),)

    def reset_image(self) -> None:
        """Forget the photo or photos that are set."""
        self._encoded = ()

    reset_predictor = reset_image  # SAM 2's name

    @property
    def _canvas_size(self) -> int:
        return self.backend.canvas_size

    def _read(self, image: PhotoSource, image_format: str) -> NDArray[np.uint8]:
        if image_format not in ("RGB", "BGR"):
            raise PhotoError(f"image_format must be 'RGB' or 'BGR', got {image_format!r}")
        photo = read_photo(image)
        if not hasattr(image, "ndim"):  # no array, NumPy's or torch's: files and PIL images are read as RGB
            return photo
        # a copy: a second look at the photo must not see what the caller writes into the array later
        return np.array(photo[..., ::-1] if image_format == "BGR" else photo, order="C")

    def _encode(self, photo: NDArray[np.uint8]) -> EncodedPhoto:
        return next(self._encode_all([photo]))

    def _encode_all(self, photos: Sequence[NDArray[np.uint8]]) -> Iterator[EncodedPhoto]:
        """Several canvases go through the encoder at once where that is faster."""
        at_once = getattr(self.backend, "canvases_at_once", 1)
        for start in range(0, len(photos), at_once):
            part = photos[start : start + at_once]
            canvases, fits = zip(*(photo_to_canvas(photo, self._canvas_size) for photo in part), strict=True)
            embeddings = self.backend.encode(np.concatenate(canvases))
            for index, (photo, fit) in enumerate(zip(part, fits, strict=True)):
                yield EncodedPhoto(embeddings[index : index + 1], fit, photo)

    def _predict(
        self, encoded: EncodedPhoto, prompts: Prompts, multimask_output: bool, return_logits: bool, refine: bool
    ) -> Prediction:
        parts = [
            self._predict_part(
                encoded, prompts.part(start, start + _PROMPTS_PER_BATCH), multimask_output, return_logits
            )
            for start in range(0, prompts.count, _PROMPTS_PER_BATCH)
        ] or [_no_masks(encoded.fit, 3 if multimask_output else 1, return_logits)]
        masks, iou_predictions, low_res_logits = (
            column[0] if len(column) == 1 else np.concatenate(column) for column in zip(*parts, strict=True)
        )
        if refine:
            masks, iou_predictions, low_res_logits = refine_prediction(
                self.backend, encoded, prompts, (masks, iou_predictions, low_res_logits), return_logits
            )
        if prompts.batched:
            return masks, iou_predictions, low_res_logits
        return masks[0], iou_predictions[0], low_res_logits[0]

    def _predict_part(
        self, encoded: EncodedPhoto, prompts: Prompts, multimask_output: bool, return_logits: bool
    ) -> Prediction:
        fit = encoded.fit
        low_res_logits, iou_predictions = self.backend.decode(
            encoded.image_embedding, prompts.on_canvas(fit), mask_slice(multimask_output)
        )
        masks = np.zeros((*low_res_logits.shape[:2], *fit.photo_hw), dtype=np.float32 if return_logits else np.bool_)
        rows = masks.reshape(-1, *fit.photo_hw)  # a view: (B, C, H, W) -> (B*C, H, W)
        logits = low_res_logits.reshape(-1, *low_res_logits.shape[-2:])
        if return_logits or self._bit_equal or not _on_cpu(logits):
            done = 0
            for part in logits_in_parts(logits, fit):
                rows[done : done + len(part)] = as_numpy(part if return_logits else part > MASK_THRESHOLD)
                done += len(part)
        else:
            for row, one in zip(rows, logits, strict=True):
                write_mask(one, fit, row)
        return masks, as_numpy(iou_predictions), as_numpy(low_res_logits)


def _on_cpu(array: Any) -> bool:
    return isinstance(array, np.ndarray) or bool(array.device.type == "cpu")


def _no_masks(fit: CanvasFit, masks_per_prompt: int, return_logits: bool) -> Prediction:
    """The result for a batch of no prompts, for example the boxes of a detector that found nothing."""
    side = fit.canvas_size // LOGITS_STRIDE
    return (
        np.zeros((0, masks_per_prompt, *fit.photo_hw), dtype=np.float32 if return_logits else np.bool_),
        np.zeros((0, masks_per_prompt), dtype=np.float32),
        np.zeros((0, masks_per_prompt, side, side), dtype=np.float32),
    )
