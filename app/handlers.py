"""The server functions: what a page asks, what it gets. One message in, one answer out, both JSON.

Everything that a person did (prompts, layers, undo) lives in the page; here are photos, embeddings and the model. So
two visitors share nothing, a reload loses nothing, and a server that was started again is told what it forgot.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import statistics
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

import repvit_sam
from repvit_sam.embedding import EncodedPhoto
from repvit_sam.errors import RepVitSamError
from repvit_sam.mask_generator import SamAutomaticMaskGenerator
from repvit_sam.masks import MASK_THRESHOLD, Mask, coco_bbox, logits_to_photo
from repvit_sam.modeling.sam import SamModel
from repvit_sam.photo import SUFFIXES, Photo, read_photo
from repvit_sam.predictor import SamPredictor
from repvit_sam.rle import decode_rle, encode_rle
from repvit_sam.visualize import COLOURS

from . import schemas as messages
from .data_urls import logits_to_view, mask_to_view, mask_url, photo_url
from .downloads import take
from .inference import Candidates, candidates_of
from .python_snippet import as_python
from .scheduler import BusyError, CancelledError, Kind, Turns, Work
from .schemas import MOST_LAYERS, MOST_POINTS, MOST_STEPS, Chain, MessageError, Step
from .store import MAX_PIXELS, Encoded, GoneError, Models, Photos, StoredPhoto

MAX_UPLOAD = 64 * 2**20  # bytes
SLOW_DECODER_MS = 250  # above it, hovering starts switched off
_KNOWN_MS = 1  # in less, nothing was decoded: the answer was known
_THUMB_SIDE = 160
_TAKEN_AT_ONCE = 2  # files in the making: each has the whole photo in memory
_PIXELS_A_BATCH = 16_000_000  # of everything mode: others wait for one batch, about a second

Answer = dict[str, Any]
ServerFunction = Callable[[Any], Awaitable[Answer]]

_log = logging.getLogger(__name__)


def answered(function: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    """Expected failures become part of the answer: Gradio would hide them behind a status of 500."""

    @wraps(function)
    async def guarded(self: Desk, data: Any = None) -> Answer:
        try:
            return await function(self, data)
        except GoneError as error:
            return _error("gone", error)
        except BusyError as error:
            return _error("busy", error)
        except (CancelledError, asyncio.CancelledError):  # the second: a preview that a newer one replaced
            return {"cancelled": True}
        except (MessageError, RepVitSamError) as error:
            return _error("bad", error)
        except Exception:
            _log.exception("a page's request failed")
            return _error("bad", "something went wrong on the server; its log says what")

    return guarded


class Desk:
    """All server functions, around the photos and models they share.

    Args:
        checkpoint: name or path of the first model; visitors may choose others that are installed.
        examples: photographs that everybody may open.
    """

    def __init__(self, checkpoint: str, device: str, examples: list[Path]) -> None:
        self.models = Models(checkpoint, device)
        self.photos = Photos(examples)
        self.turns = Turns()
        self._encoded = Encoded()
        self._tickets: dict[str, Work[Any]] = {}  # of what waits or is computed; bounded by the line
        self._taking = asyncio.Semaphore(_TAKEN_AT_ONCE)
        self._encode_ms: deque[float] = deque(maxlen=20)
        self._decode_ms: deque[float] = deque(maxlen=20)
        self._thumbs = [
            {"name": name, "title": name.capitalize(), "thumb": photo_url(read_photo(path), _THUMB_SIDE)}
            for name, path in self.photos.examples.items()
        ]
        self._warm_up()

    def functions(self) -> list[ServerFunction]:
        """In the form that ``gr.HTML`` takes: by name, one argument."""
        names = "about open open_example resume progress cancel predict hover keep everything take code"
        return [_plain(getattr(self, name), name) for name in names.split()]

    @answered
    async def about(self, data: Any) -> Answer:
        """What this server is and has."""
        decode_ms = _median(self._decode_ms)
        return {
            "version": repvit_sam.__version__,
            "device": str(self.models.device),
            "checkpoints": [{"name": name, "label": label} for name, label in self.models.names().items()],
            "checkpoint": self.models.first,
            "examples": self._thumbs,
            "max_bytes": MAX_UPLOAD,
            "max_pixels": MAX_PIXELS,
            "suffixes": list(SUFFIXES),
            "limits": {"layers": MOST_LAYERS, "steps": MOST_STEPS, "points": MOST_POINTS},
            "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in COLOURS],
            "encode_ms": _median(self._encode_ms),
            "decode_ms": decode_ms,
            "hover": decode_ms is None or decode_ms <= SLOW_DECODER_MS,
        }

    @answered
    async def open(self, data: Any) -> Answer:
        """Take a photo in and encode it. Comes as a form, so that its bytes need not be text."""
        message = messages.read(messages.Open, getattr(data, "data", None))
        files = getattr(data, "files", [])
        if len(files) != 1:
            raise MessageError("send exactly one file")
        name, content = files[0]
        if len(content) > MAX_UPLOAD:
            raise MessageError(f"the file has {len(content):,} bytes; the page takes {MAX_UPLOAD:,}")
        name = Path(str(name).replace("\\", "/")).name[:200] or "photo"
        return await self._opened(message, lambda: self.photos.add(name, content))

    @answered
    async def open_example(self, data: Any) -> Answer:
        message = messages.read(messages.OpenExample, data)
        if message.name not in self.photos.examples:
            raise MessageError(f"there is no example {message.name!r}")
        return await self._opened(message, lambda: (self.photos.get(f"example-{message.name}"), None))

    @answered
    async def resume(self, data: Any) -> Answer:
        """Go on with a photo after a reload, or with another checkpoint."""
        message = messages.read(messages.Resume, data)
        return await self._opened(message, lambda: (self.photos.get(message.photo), None))

    @answered
    async def progress(self, data: Any) -> Answer:
        """How far the work with this ticket is."""
        work = self._tickets.get(messages.read(messages.Ticket, data).ticket)
        if work is None:
            return {"state": "unknown", "ahead": 0, "share": None}
        work.asked_after = time.monotonic()
        state = "done" if work.future.done() else "working" if work.future.running() else "waiting"
        return {"state": state, "ahead": self.turns.ahead_of(work), "share": work.share}

    @answered
    async def cancel(self, data: Any) -> Answer:
        work = self._tickets.get(messages.read(messages.Ticket, data).ticket)
        if work:
            self.turns.cancel(work)
        return {}

    @answered
    async def predict(self, data: Any) -> Answer:
        """The candidates for a chain of prompts, at the size of the page's view."""
        message = messages.read(messages.Predict, data)
        if not message.chain[-1].has_object:
            return {"candidates": [], "best": 0, "decode_ms": 0}

        def compute(work: Work[Answer]) -> Answer:
            found, encoded, milliseconds = self._decoded(message.photo, message.checkpoint, message.chain)
            masks = logits_to_view(found.low_res_logits, encoded.fit)
            return {
                "candidates": [
                    {"mask": mask_url(mask), "iou": iou, **_extent(mask, encoded.fit.photo_hw)}
                    for mask, iou in zip(masks, found.iou_predictions, strict=True)
                ],
                "best": found.best,
                "decode_ms": milliseconds,
            }

        return await self._turn(message, Kind.CLICK, compute)

    @answered
    async def hover(self, data: Any) -> Answer:
        """The mask that a click here would give."""
        message = messages.read(messages.Hover, data)
        chain = (Step(points=((message.x, message.y, 1),)),)

        def compute(work: Work[Answer]) -> Answer:
            found, encoded, milliseconds = self._decoded(message.photo, message.checkpoint, chain)
            mask = logits_to_view(found.picked(None)[None], encoded.fit)[0]
            return {"mask": mask_url(mask), "iou": found.iou_predictions[found.best], "decode_ms": milliseconds}

        return await self._turn(message, Kind.HOVER, compute)

    @answered
    async def keep(self, data: Any) -> Answer:
        """The picked mask at the size of the photo."""
        message = messages.read(messages.Predict, data)
        if not message.chain[-1].has_object:
            raise MessageError("there is no mask yet: give an object point or a box first")

        def compute(work: Work[Answer]) -> Answer:
            mask, iou = self.mask_of(message.photo, message.checkpoint, message.chain)
            return {**_record(mask), "iou": iou}

        return await self._turn(message, Kind.CLICK, compute)

    @answered
    async def everything(self, data: Any) -> Answer:
        """All masks of the photo."""
        message = messages.read(messages.Everything, data)

        def compute(work: Work[Answer]) -> Answer:
            started = time.perf_counter()
            photo = self.photos.get(message.photo).pixels()
            generator = SamAutomaticMaskGenerator(
                self.models[message.checkpoint],
                points_per_side=message.points_per_side,
                points_per_batch=max(1, min(16, _PIXELS_A_BATCH // (photo.shape[0] * photo.shape[1]))),
                pred_iou_thresh=message.pred_iou_thresh,
                stability_score_thresh=message.stability_score_thresh,
                min_mask_region_area=message.min_mask_region_area,
                output_mode="coco_rle",
            )
            records = generator.generate(photo, lambda done, total: work.step(done / total))
            found = []
            for record in records[:MOST_LAYERS]:
                found.append(_found(record))
                work.step(1.0)
            return {"masks": found, "seconds": time.perf_counter() - started}

        return await self._turn(message, Kind.LONG, compute, message.ticket)

    @answered
    async def take(self, data: Any) -> Answer:
        """A file to take away."""
        message = messages.read(messages.Take, data)

        def compute() -> Answer:  # beside the model's line: it needs no model
            stored = self.photos.get(message.photo)
            file = take(stored.pixels(), stored.name, message.kind, message.layers, message.full_size, message.feather)
            return {"name": file.name, "mime": file.mime, "data": base64.b64encode(file.data).decode("ascii")}

        async with self._taking:
            return await asyncio.to_thread(compute)

    @answered
    async def code(self, data: Any) -> Answer:
        """The same masks as a Python program."""
        message = messages.read(messages.Code, data)
        return {"python": await asyncio.to_thread(as_python, message.name, message.objects)}

    def mask_of(self, token: str, checkpoint: str, chain: Chain) -> tuple[Mask, float]:
        """(H, W) mask and its predicted IoU; on the worker's thread."""
        found, encoded, _ = self._decoded(token, checkpoint, chain)
        pick = found.best if chain[-1].pick is None else chain[-1].pick
        return _mask_of(found, pick, encoded), found.iou_predictions[pick]

    def mask_of_file(self, path: Path, checkpoint: str, chain: Chain) -> tuple[Mask, float]:
        """As ``mask_of``, for a photo that nobody comes back to: nothing of it is kept."""
        model = self.models[checkpoint]
        predictor = SamPredictor(model)
        predictor.set_image(read_photo(path, MAX_PIXELS))
        found = candidates_of(model, predictor.encoded, chain, {})
        return _mask_of(found, found.best, predictor.encoded), found.iou_predictions[found.best]

    async def _opened(self, message: messages.Open, get: Callable[[], tuple[StoredPhoto, Photo | None]]) -> Answer:
        def compute(work: Work[Answer]) -> Answer:
            model = self.models[message.checkpoint]
            stored, photo = get()
            pixels = stored.pixels() if photo is None else photo
            started = time.perf_counter()
            if not self._encoded.has(stored, message.checkpoint):
                self._encode(model, message.checkpoint, stored, pixels)
            return {
                "photo": stored.token,
                "name": stored.name,
                "width": stored.photo_hw[1],
                "height": stored.photo_hw[0],
                "view": photo_url(pixels),
                "encode_ms": 1000 * (time.perf_counter() - started),
                "checkpoint": message.checkpoint,
            }

        return await self._turn(message, Kind.CLICK, compute, message.ticket)

    def _decoded(self, token: str, checkpoint: str, chain: Chain) -> tuple[Candidates, EncodedPhoto, float]:
        """(candidates, embedding, milliseconds of the decoder)"""
        stored, model = self.photos.get(token), self.models[checkpoint]
        encoded = self._encode(model, checkpoint, stored, None)
        started = time.perf_counter()
        found = candidates_of(model, encoded, chain, self._encoded.answers, (stored.token, checkpoint))
        milliseconds = 1000 * (time.perf_counter() - started)
        if milliseconds < _KNOWN_MS:
            milliseconds = _median(self._decode_ms) or 0.0  # what it took once, about
        elif len(chain) == 1:
            self._decode_ms.append(milliseconds)
        return found, encoded, milliseconds

    def _encode(self, model: SamModel, checkpoint: str, stored: StoredPhoto, photo: Photo | None) -> EncodedPhoto:
        if self._encoded.has(stored, checkpoint):
            return self._encoded.get(stored, checkpoint, model)
        started = time.perf_counter()
        encoded = self._encoded.get(stored, checkpoint, model, photo)
        if checkpoint == self.models.first:
            self._encode_ms.append(1000 * (time.perf_counter() - started))
        return encoded

    async def _turn(
        self,
        message: messages.Message,
        kind: Kind,
        compute: Callable[[Work[Answer]], Answer],
        ticket: str = "",
    ) -> Answer:
        work = self.turns.ask(message.visitor, kind, compute)
        if ticket:
            self._tickets[ticket] = work
            work.future.add_done_callback(lambda _: self._tickets.pop(ticket, None))
        return await asyncio.wrap_future(work.future)

    def _warm_up(self) -> None:
        """Encode the first example and click on it, so that the first visitor finds it done and times are known."""
        for name in list(self.photos.examples)[:1]:
            photo = self.photos.get(f"example-{name}")
            height, width = photo.photo_hw
            for x in (width / 2, width / 2, width / 3):
                chain = (Step(points=((x, height / 2, 1),)),)
                self._decoded(photo.token, self.models.first, chain)
            self._decode_ms.popleft()  # the first one pays for memory and threads


def _mask_of(found: Candidates, pick: int, encoded: EncodedPhoto) -> Mask:
    logits = logits_to_photo(found.picked(pick)[None, None], encoded.fit)[0, 0]
    mask: Mask = (logits > MASK_THRESHOLD).cpu().numpy()
    return mask


def _plain(method: Callable[[Any], Awaitable[Answer]], name: str) -> ServerFunction:
    async def function(data: Any) -> Answer:
        return await method(data)

    function.__name__ = name
    return function


def _record(mask: Mask) -> Answer:
    return {
        "rle": encode_rle(mask),
        "bbox": coco_bbox(mask),
        "area": int(mask.sum()),
        "mask": mask_url(mask_to_view(mask)),
    }


def _found(record: dict[str, Any]) -> Answer:
    mask = decode_rle(record["segmentation"])
    return {
        "rle": record["segmentation"],
        "bbox": record["bbox"],
        "area": record["area"],
        "mask": mask_url(mask_to_view(mask)),
        "iou": record["predicted_iou"],
        "stability": record["stability_score"],
        "point": record["point_coords"][0],
    }


def _extent(mask: Mask, photo_hw: tuple[int, int]) -> Answer:
    """Area in photo pixels, of a mask at view size, and its share of the photo."""
    share = float(mask.mean())
    return {"area": round(share * photo_hw[0] * photo_hw[1]), "share": share}


def _median(values: deque[float]) -> float | None:
    return statistics.median(list(values)) if values else None  # a copy: the worker appends


def _error(kind: str, error: object) -> Answer:
    return {"error": {"kind": kind, "message": str(error)}}
