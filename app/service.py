"""Photo -> embedding -> candidates -> mask, with the stores in between. For the scheduler's thread alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from repvit_sam import EncodedPhoto, SamAutomaticMaskGenerator, SamPredictor
from repvit_sam.canvas import CanvasFit
from repvit_sam.detections import DetectedMasks, Detector
from repvit_sam.masks import Mask
from repvit_sam.photo import Photo, read_photo

from .data_urls import photo_url
from .inference import Candidates, candidates_key, decode_chain
from .limits import MAX_PIXELS
from .schemas import EverythingRequest, PromptChain, PromptSet, RequestError
from .store import ModelStore, PhotoStore, ResultStore, StoredPhoto
from .timing import MedianLatency, milliseconds_since

_PIXELS_PER_BATCH = 16_000_000  # of everything mode: clicks wait for one batch, about a second


@dataclass(frozen=True)
class OpenedPhoto:
    """A photo whose embedding is ready."""

    stored: StoredPhoto
    view: str  # data URL of its picture for the screen
    checkpoint: str
    encode_ms: float  # about 0 where the embedding was there already


@dataclass(frozen=True)
class Decoded:
    """The candidates for a chain of prompts."""

    candidates: Candidates
    fit: CanvasFit
    decode_ms: float  # the usual time where the candidates were there already, or were refined


class MaskService:
    """Photos, models, embeddings and candidates of one server.

    Args:
        load_detector: for ``find_text``, called when that is first asked for; None where there is none.

    Attributes:
        encode_latency, decode_latency: of the checkpoint that the server was started with; of single prompt sets.
    """

    def __init__(
        self, models: ModelStore, photos: PhotoStore, load_detector: Callable[[], Detector] | None = None
    ) -> None:
        self.models, self.photos = models, photos
        self._load_detector = load_detector
        self._detector: Detector | None = None
        self.encode_latency, self.decode_latency = MedianLatency(), MedianLatency()
        self._results = ResultStore()

    def warm_up(self) -> None:
        """Encode the first example and click on it: the first visitor waits less, and latencies are known."""
        for name in list(self.photos.examples)[:1]:
            stored = self.photos.example(name)
            height, width = stored.photo_hw
            for x in (width / 2, width / 3):
                self.decode_latency.clear()  # the first decoding also pays for memory and threads
                self.decode(stored.token, self.models.first, (PromptSet(points=((x, height / 2, 1),)),))

    def open(self, get_photo: Callable[[], tuple[StoredPhoto, Photo | None]], checkpoint: str) -> OpenedPhoto:
        """Encode a photo, if it is not yet.

        Args:
            get_photo: the stored photo, and its pixels where they are decoded already.
        """
        self.models.get(checkpoint)  # a wrong name is refused before an upload is decoded
        stored, photo = get_photo()
        views = self._results.views
        if photo is None and not (stored.token in views and (stored.token, checkpoint) in self._results.embeddings):
            photo = stored.pixels()
        if photo is not None:
            views[stored.token] = photo_url(photo)
        view = views[stored.token]
        started = time.perf_counter()
        self._predictor(stored, checkpoint, photo)
        return OpenedPhoto(stored, view, checkpoint, milliseconds_since(started))

    def decode(self, token: str, checkpoint: str, chain: PromptChain) -> Decoded:
        """The candidates for a chain of prompts on a stored photo."""
        stored = self.photos.get(token)
        predictor = self._predictor(stored, checkpoint)
        cache = self._results.candidates
        parts = [chain[:length] for length in range(1, len(chain) + 1)]
        missing = [part for part in parts if candidates_key(token, checkpoint, part) not in cache]
        was_cached = chain not in missing
        if not was_cached and any(part[-1].refine for part in missing):
            predictor.encoded = replace(predictor.encoded, photo=stored.pixels())
        started = time.perf_counter()
        candidates = decode_chain(predictor, chain, cache, token, checkpoint)
        decode_ms = milliseconds_since(started)
        if was_cached or chain[-1].refine:
            decode_ms = self.decode_latency.median or 0.0
        elif len(chain) == 1:
            self.decode_latency.add(decode_ms)
        return Decoded(candidates, predictor.encoded.fit, decode_ms)

    def mask(self, token: str, checkpoint: str, chain: PromptChain) -> tuple[Mask, float]:
        """The picked mask (H, W) of a stored photo, and its predicted IoU."""
        decoded = self.decode(token, checkpoint, chain)
        return decoded.candidates.picked(chain[-1].pick, decoded.fit)

    def mask_of_file(self, path: Path, checkpoint: str, prompts: PromptSet) -> tuple[Mask, float]:
        """As ``mask``, for a photo that is used once: nothing of it is kept."""
        predictor = SamPredictor(self.models.get(checkpoint))
        predictor.set_image(read_photo(path, MAX_PIXELS))
        return decode_chain(predictor, (prompts,), {}).picked(prompts.pick, predictor.encoded.fit)

    @property
    def has_detector(self) -> bool:
        return self._load_detector is not None

    def find_text(self, token: str, checkpoint: str, text: str) -> DetectedMasks:
        """A mask for everything in a stored photo that a text names.

        Raises:
            RequestError: the server has no detector.
            RepVitSamError: the detector cannot be loaded, or does not take the text.
        """
        if self._load_detector is None:
            raise RequestError("this server has no text detector; start it with --detector")
        if self._detector is None:
            self._detector = self._load_detector()
        stored = self.photos.get(token)
        predictor = self._predictor(stored, checkpoint)
        predictor.encoded = replace(predictor.encoded, photo=stored.pixels())
        return predictor.predict_text(text, self._detector)

    def encoded(self, stored: StoredPhoto, checkpoint: str) -> EncodedPhoto:
        """A stored photo's embedding, encoded if it is not yet; without the pixels."""
        return self._predictor(stored, checkpoint).encoded

    def everything(self, request: EverythingRequest, report_progress: Callable[[float], None]) -> list[dict[str, Any]]:
        """All masks of a stored photo, as the records of ``SamAutomaticMaskGenerator``."""
        photo = self.photos.get(request.photo).pixels()
        generator = SamAutomaticMaskGenerator(
            self.models.get(request.checkpoint),
            points_per_side=request.points_per_side,
            points_per_batch=max(1, min(16, _PIXELS_PER_BATCH // (photo.shape[0] * photo.shape[1]))),
            pred_iou_thresh=request.pred_iou_thresh,
            stability_score_thresh=request.stability_score_thresh,
            min_mask_region_area=request.min_mask_region_area,
            output_mode="coco_rle",
        )
        return generator.generate(photo, lambda done, total: report_progress(done / total))

    def _predictor(self, stored: StoredPhoto, checkpoint: str, photo: Photo | None = None) -> SamPredictor:
        """With the photo set, from the store or encoded now; ``photo``: its pixels, where they are decoded already."""
        predictor = SamPredictor(self.models.get(checkpoint))
        key = (stored.token, checkpoint)
        encoded = self._results.embeddings.get(key)
        if encoded is not None:
            predictor.encoded = encoded
            return predictor
        started = time.perf_counter()
        predictor.set_image(stored.pixels() if photo is None else photo)
        # without the pixels, which would take more memory than all else here
        predictor.encoded = self._results.embeddings[key] = replace(predictor.encoded, photo=None)
        if checkpoint == self.models.first:
            self.encode_latency.add(milliseconds_since(started))
        return predictor
