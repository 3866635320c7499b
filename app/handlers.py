"""The server functions that the page calls: a request in, JSON out.

The page itself holds what a person did (prompts, layers, undo). The server holds photos, embeddings and models, so two
visitors share nothing, a reload loses nothing, and a server that was restarted is sent the photo again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any

import repvit_sam
from repvit_sam.photo import SUFFIXES, Photo, read_photo
from repvit_sam.visualize import COLOURS

from . import schemas
from .data_urls import photo_url
from .downloads import make_download
from .limits import MAX_CORNERS, MAX_LAYERS, MAX_PIXELS, MAX_POINTS, MAX_PROMPT_SETS, MAX_UPLOAD
from .mask_edits import edited_masks, outline
from .python_snippet import write_snippet
from .responses import (
    Json,
    candidates_json,
    detected_json,
    download_json,
    json_response,
    mask_json,
    opened_json,
    preview_json,
    record_json,
)
from .scheduler import Job, Priority, Scheduler
from .schemas import PromptSet, RequestError, parse
from .service import MaskService
from .store import StoredPhoto

_SLOW_DECODER_MS = 250  # above it, hovering starts switched off
_THUMB_SIDE = 160  # pixels
_DOWNLOADS_AT_ONCE = 2  # each has the whole photo in memory
_EDITS_AT_ONCE = 2  # each has a few masks of its size in memory

ServerFunction = Callable[[Any], Awaitable[Json]]


class Handlers:
    """One method for each server function.

    Args:
        service: what computes, shared by all visitors.
        folder: name of the folder whose photos are labelled; None for the page of one photo.
    """

    def __init__(self, service: MaskService, folder: str | None = None) -> None:
        self.service, self._folder = service, folder
        self.scheduler = Scheduler()
        self._downloading = asyncio.Semaphore(_DOWNLOADS_AT_ONCE)
        self._editing = asyncio.Semaphore(_EDITS_AT_ONCE)
        self._examples = [
            {"name": name, "title": name.capitalize(), "thumb": photo_url(read_photo(path), _THUMB_SIDE)}
            for name, path in service.photos.examples.items()
        ]

    def functions(self) -> list[ServerFunction]:
        """The server functions as ``gr.HTML`` takes them; the page's scripts call them by their names."""
        methods = (
            *(self.about, self.open, self.open_example, self.resume, self.progress, self.cancel),
            *(self.predict, self.hover, self.keep, self.everything, self.download, self.python_snippet),
            *(self.find_text, self.edit_mask, self.outline),
        )
        return [as_function(method) for method in methods]

    @json_response
    async def about(self, data: Any) -> Json:
        """What this server is and has."""
        models, decode_ms = self.service.models, self.service.decode_latency.median
        return {
            "version": repvit_sam.__version__,
            "device": str(models.device),
            "engine": models.label,
            "checkpoints": [
                {
                    "name": name,
                    "label": label,
                    "about": models.about(name),
                    "everything": asdict(models.thresholds(name)),
                }
                for name, label in models.names().items()
            ],
            "checkpoint": models.first,
            "folder": self._folder,
            "text": self.service.has_detector,
            "examples": self._examples,
            "max_bytes": MAX_UPLOAD,
            "max_pixels": MAX_PIXELS,
            "suffixes": list(SUFFIXES),
            "limits": {
                "layers": MAX_LAYERS,
                "steps": MAX_PROMPT_SETS,
                "points": MAX_POINTS,
                "corners": MAX_CORNERS,
            },
            "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in COLOURS],
            "encode_ms": self.service.encode_latency.median,
            "decode_ms": decode_ms,
            "hover": decode_ms is None or decode_ms <= _SLOW_DECODER_MS,
        }

    @json_response
    async def open(self, data: Any) -> Json:
        """Store an uploaded photo and encode it. Comes as a form, so that its bytes need not be text."""
        request = parse(schemas.OpenRequest, getattr(data, "data", None))
        files = getattr(data, "files", [])
        if len(files) != 1:
            raise RequestError(f"send exactly one file, got {len(files)}")
        name, content = files[0]
        if len(content) > MAX_UPLOAD:
            raise RequestError(f"the file has {len(content):,} bytes; send at most {MAX_UPLOAD:,}")
        name = Path(str(name).replace("\\", "/")).name[:200] or "photo"
        return await self.open_photo(request, lambda: self.service.photos.add(name, content))

    @json_response
    async def open_example(self, data: Any) -> Json:
        request = parse(schemas.OpenExampleRequest, data)
        return await self.open_photo(request, lambda: (self.service.photos.example(request.name), None))

    @json_response
    async def resume(self, data: Any) -> Json:
        """Go on with a photo after a reload, or with another checkpoint."""
        request = parse(schemas.ResumeRequest, data)
        return await self.open_photo(request, lambda: (self.service.photos.get(request.photo), None))

    @json_response
    async def progress(self, data: Any) -> Json:
        """How far the job with this ticket is."""
        job = self.scheduler.find(parse(schemas.TicketRequest, data).ticket)
        if job is None:
            return {"state": "unknown", "ahead": 0, "share": None}
        job.last_polled = time.monotonic()
        return {"state": job.state, "ahead": self.scheduler.jobs_ahead(job), "share": job.share}

    @json_response
    async def cancel(self, data: Any) -> Json:
        job = self.scheduler.find(parse(schemas.TicketRequest, data).ticket)
        if job:
            self.scheduler.cancel(job)
        return {}

    @json_response
    async def predict(self, data: Any) -> Json:
        """The candidates for a chain of prompts, at the size of the page's view."""
        request = parse(schemas.PredictRequest, data)
        if not request.chain[-1].has_object:
            return {"candidates": [], "best": 0, "refined": False, "decode_ms": 0}

        def compute(job: Job[Json]) -> Json:
            return candidates_json(self.service.decode(request.photo, request.checkpoint, request.chain))

        return await self._schedule(request, Priority.CLICK, compute)

    @json_response
    async def hover(self, data: Any) -> Json:
        """The mask that a click here would give."""
        request = parse(schemas.HoverRequest, data)
        click = PromptSet(points=((request.x, request.y, 1),))

        def compute(job: Job[Json]) -> Json:
            return preview_json(self.service.decode(request.photo, request.checkpoint, (click,)))

        return await self._schedule(request, Priority.HOVER, compute)

    @json_response
    async def keep(self, data: Any) -> Json:
        """The picked mask at the size of the photo."""
        request = parse(schemas.PredictRequest, data)
        if not request.chain[-1].has_object:
            raise RequestError("there is no mask yet: give an object point or a box first")

        def compute(job: Job[Json]) -> Json:
            return mask_json(*self.service.mask(request.photo, request.checkpoint, request.chain))

        return await self._schedule(request, Priority.CLICK, compute)

    @json_response
    async def everything(self, data: Any) -> Json:
        """All masks of the photo."""
        request = parse(schemas.EverythingRequest, data)

        def compute(job: Job[Json]) -> Json:
            started = time.perf_counter()
            masks = []
            for record in self.service.everything(request, job.report_progress)[:MAX_LAYERS]:
                masks.append(record_json(record))
                job.report_progress(1.0)
            return {"masks": masks, "seconds": time.perf_counter() - started}

        return await self._schedule(request, Priority.LONG, compute, request.ticket)

    @json_response
    async def find_text(self, data: Any) -> Json:
        """Masks of what a text names."""
        request = parse(schemas.TextRequest, data)

        def compute(job: Job[Json]) -> Json:
            found = self.service.find_text(request.photo, request.checkpoint, request.text)
            return {"masks": detected_json(found)[:MAX_LAYERS]}

        return await self._schedule(request, Priority.LONG, compute, request.ticket)

    @json_response
    async def download(self, data: Any) -> Json:
        """Layers as a file."""
        request = parse(schemas.DownloadRequest, data)

        def compute() -> Json:
            stored = self.service.photos.get(request.photo)
            return download_json(make_download(stored.pixels(), stored.name, request))

        async with self._downloading:
            return await asyncio.to_thread(compute)  # not on the worker thread: it needs no model

    @json_response
    async def python_snippet(self, data: Any) -> Json:
        """Layers as a Python program that makes the same masks."""
        request = parse(schemas.SnippetRequest, data)
        return {"python": await asyncio.to_thread(write_snippet, request.name, request.objects)}

    @json_response
    async def edit_mask(self, data: Any) -> Json:
        """A mask corrected by hand."""
        request = parse(schemas.EditRequest, data)

        def compute() -> Json:
            photo_hw = self.service.photos.get(request.photo).photo_hw
            return {"masks": [mask_json(mask, None) for mask in edited_masks(request, photo_hw)]}

        async with self._editing:
            return await asyncio.to_thread(compute)  # as for downloads

    @json_response
    async def outline(self, data: Any) -> Json:
        """A mask's edge as corners to be moved."""
        request = parse(schemas.OutlineRequest, data)

        def compute() -> Json:
            return {"loops": outline(request.rle, self.service.photos.get(request.photo).photo_hw)}

        return await asyncio.to_thread(compute)

    async def open_photo(
        self, request: schemas.OpenRequest, get_photo: Callable[[], tuple[StoredPhoto, Photo | None]]
    ) -> Json:
        """Encode a photo, if it is not yet, and say what the page shows of it."""

        def compute(job: Job[Json]) -> Json:
            return opened_json(self.service.open(get_photo, request.checkpoint))

        return await self._schedule(request, Priority.CLICK, compute, request.ticket)

    async def _schedule(
        self, request: schemas.Request, priority: Priority, compute: Callable[[Job[Json]], Json], ticket: str = ""
    ) -> Json:
        return await asyncio.wrap_future(self.scheduler.submit(request.visitor, priority, compute, ticket).future)


def as_function(method: ServerFunction) -> ServerFunction:
    """Gradio sets an attribute on each server function, which a bound method refuses."""

    @wraps(method)
    async def function(data: Any) -> Json:
        return await method(data)

    return function
