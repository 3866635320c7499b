"""The server functions of a page that labels a folder: a request in, JSON out."""

from __future__ import annotations

import asyncio
import base64
import io
import secrets
import time
import zipfile
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from repvit_sam import PhotoError
from repvit_sam.photo import read_photo
from repvit_sam.photo_bombs import check_jpeg
from repvit_sam.rle import decode_rle

from ..data_urls import photo_url
from ..handlers import Handlers, ServerFunction, as_function
from ..layer_masks import checked_mask
from ..limits import MAX_OBJECTS, MAX_PIXELS
from ..responses import Json, json_response, mask_json
from ..scheduler import Job, Priority
from ..schemas import Request, RequestError, parse
from . import schemas
from .label_formats import export_files
from .label_store import Change, LabelLayer, LabelStore, PhotoState, split_annotations
from .page_ids import own_id, page_id
from .proposals import Proposal
from .proposer import Proposer

_THUMB_SIDE = 112  # pixels
_HEARD_SECONDS = 75  # a window asks for changes every three seconds; where it is hidden, once a minute


class LabelHandlers:
    """One method for each server function.

    Args:
        handlers: those of the page for one photo, whose service encodes.
        labels: of the folder.
    """

    def __init__(self, handlers: Handlers, labels: LabelStore) -> None:
        self._handlers, self._labels = handlers, labels
        self._proposer = Proposer(handlers.service, labels)
        self._session = secrets.token_hex(8)  # another one after a restart: versions start again
        self._heard: dict[str, float] = {}  # window -> when
        self._making_thumbnails = asyncio.Semaphore(1)

    def functions(self) -> list[ServerFunction]:
        """The server functions as ``gr.HTML`` takes them, those of the page for one photo among them."""
        methods = (
            *(self.folder, self.folder_changes, self.leave_folder, self.thumbnails),
            *(self.open_folder_photo, self.encode_ahead, self.save_labels, self.propose),
            *(self.add_class, self.change_class, self.remove_class, self.export_labels),
        )
        return [*self._handlers.functions(), *(as_function(method) for method in methods)]

    @json_response
    async def folder(self, data: Any) -> Json:
        """The photos, the classes, and whether another window has the folder open."""
        request = parse(Request, data)
        await asyncio.to_thread(self._labels.folder.scan)
        await asyncio.to_thread(self._labels.refresh)
        version = self._labels.version
        return {
            "session": self._session,
            "identity": self._labels.identity,
            "most": MAX_OBJECTS,
            "version": version,
            "photos": [_state_json(photo) for photo in self._labels.photos()],
            "classes": self._classes_json(),
            "file": self._labels.path.name,
            "not_here": self._labels.not_here,
            "windows": self._others(request.visitor),
        }

    @json_response
    async def folder_changes(self, data: Any) -> Json:
        """What has changed since a version, in whichever window."""
        request = parse(schemas.ChangesRequest, data)
        windows = self._others(request.visitor)
        await asyncio.to_thread(self._labels.refresh)
        if request.session != self._session:
            return {"restarted": True, "identity": self._labels.identity, "windows": windows}
        version = self._labels.version
        photos, classes_changed = self._labels.changes(request.version)
        changed = {"classes": self._classes_json()} if classes_changed else {}
        return {"version": version, "photos": [_state_json(photo) for photo in photos], "windows": windows, **changed}

    @json_response
    async def leave_folder(self, data: Any) -> Json:
        """A window was closed."""
        self._heard.pop(parse(Request, data).visitor, None)
        return {}

    @json_response
    async def thumbnails(self, data: Any) -> Json:
        """Small pictures by name; null for a file that is no photo."""
        request = parse(schemas.ThumbnailsRequest, data)
        async with self._making_thumbnails:
            return {"thumbnails": {name: await asyncio.to_thread(self._thumbnail, name) for name in request.names}}

    @json_response
    async def open_folder_photo(self, data: Any) -> Json:
        """Open a photo of the folder, with its labels."""
        request = parse(schemas.OpenFolderPhotoRequest, data)
        path = self._labels.folder.path_of(request.name)
        photos = self._handlers.service.photos
        opened = await self._handlers.open_photo(request, lambda: (photos.add_file(request.name, path), None))
        photo_hw = opened["height"], opened["width"]
        return {**opened, "labels": await asyncio.to_thread(self._labels_json, request.name, photo_hw)}

    @json_response
    async def encode_ahead(self, data: Any) -> Json:
        """Encode the photo that is probably opened next."""
        request = parse(schemas.OpenFolderPhotoRequest, data)
        path, service = self._labels.folder.path_of(request.name), self._handlers.service

        def compute(job: Job[Json]) -> Json:
            service.open(lambda: (service.photos.add_file(request.name, path), None), request.checkpoint)
            return {}

        return await asyncio.wrap_future(
            self._handlers.scheduler.submit(request.visitor, Priority.AHEAD, compute).future
        )

    @json_response
    async def save_labels(self, data: Any) -> Json:
        """Replace a photo's labels; they are on the disk when this answers."""
        request = parse(schemas.SaveLabelsRequest, data)
        if request.folder and request.folder != self._labels.identity:
            raise RequestError("another folder is served here now; load the page again when that is done")
        path = self._labels.folder.path_of(request.name)

        def compute() -> Json:
            photo_hw = self._handlers.service.photos.add_file(request.name, path).photo_hw
            layers = []
            for sent in request.layers:
                checked_mask(sent.rle, photo_hw)
                rle = {"size": list(sent.rle.size), "counts": sent.rle.counts}
                annotation = None if sent.annotation is None else own_id(sent.annotation)
                layers.append(LabelLayer(annotation, own_id(sent.category), rle))
            change = Change(request.revision, request.change, request.unanswered)
            saved = self._labels.save(request.name, photo_hw, change, request.state, layers)
            return {"revision": saved.revision, "annotations": [page_id(saved_id) for saved_id in saved.annotations]}

        return await asyncio.to_thread(compute)

    @json_response
    async def propose(self, data: Any) -> Json:
        """Objects of the classes, as the photos that are done have them, on a photo that is open."""
        request = parse(schemas.ProposeRequest, data)
        self._labels.folder.path_of(request.name)

        def compute(job: Job[Json]) -> Json:
            found = self._proposer.propose(request.name, request.checkpoint, job.report_progress)
            return {"masks": [_proposal_json(proposal) for proposal in found], "photos": self._proposer.taught}

        return await asyncio.wrap_future(
            self._handlers.scheduler.submit(request.visitor, Priority.LONG, compute, request.ticket).future
        )

    @json_response
    async def add_class(self, data: Any) -> Json:
        request = parse(schemas.AddClassRequest, data)
        added = await asyncio.to_thread(self._labels.add_class, request.name)
        return {"id": page_id(added), "classes": self._classes_json()}

    @json_response
    async def change_class(self, data: Any) -> Json:
        request = parse(schemas.ChangeClassRequest, data)
        await asyncio.to_thread(self._labels.change_class, own_id(request.id), request.name, request.colour)
        return {"classes": self._classes_json()}

    @json_response
    async def remove_class(self, data: Any) -> Json:
        request = parse(schemas.RemoveClassRequest, data)
        await asyncio.to_thread(self._labels.remove_class, own_id(request.id))
        return {"classes": self._classes_json()}

    @json_response
    async def export_labels(self, data: Any) -> Json:
        """The labels of all photos as a file: COCO JSON, or a zip."""
        request = parse(schemas.ExportRequest, data)
        name, mime, content = await asyncio.to_thread(_packed, self._labels, request.kind)
        return {"name": name, "mime": mime, "data": base64.b64encode(content).decode("ascii")}

    def _classes_json(self) -> list[Json]:
        return [{**each, "id": page_id(each["id"])} for each in self._labels.classes()]

    def _others(self, visitor: str) -> int:
        """Windows that were heard of lately, but for this one."""
        now = time.monotonic()
        self._heard = {window: at for window, at in self._heard.items() if now - at < _HEARD_SECONDS}
        self._heard[visitor] = now
        return len(self._heard) - 1

    def _labels_json(self, name: str, photo_hw: tuple[int, int]) -> Json:
        part = self._labels.part(name)
        shown, kept = split_annotations(part.annotations() if part else [], photo_hw)
        if len(shown) > MAX_OBJECTS:
            raise RequestError(f"{name} has {len(shown):,} objects; this page takes {MAX_OBJECTS:,}")
        layers = []
        for record, rle in shown:
            iou = record.get("score")
            mask = mask_json(decode_rle(rle), iou if isinstance(iou, (int, float)) else None)
            layers.append({**mask, "annotation": page_id(record["id"]), "category": page_id(record["category_id"])})
        return {
            "revision": part.revision if part else "",
            "state": part.state if part else "untouched",
            "layers": layers,
            "without_mask": len(kept),
        }

    def _thumbnail(self, name: str) -> str | None:
        """JPEGs are decoded at an eighth of their size where that suffices."""
        path = self._labels.folder.path_of(name)
        try:
            try:
                data = path.read_bytes()
                with Image.open(io.BytesIO(data), formats=("JPEG", "MPO")) as picture:
                    check_jpeg(*picture.size, data, name)
                    picture.draft("RGB", (2 * _THUMB_SIDE, 2 * _THUMB_SIDE))
                    picture.thumbnail((2 * _THUMB_SIDE, 2 * _THUMB_SIDE), reducing_gap=2.0)
                    photo = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
            except Exception:  # no JPEG, or a damaged one
                photo = read_photo(path, MAX_PIXELS)
            return photo_url(photo, _THUMB_SIDE)
        except PhotoError:
            return None


def _packed(labels: LabelStore, kind: Any) -> tuple[str, str, bytes]:
    folder = labels.folder.path.name or "labels"
    if kind in ("coco", "coco-polygons"):
        ((_, content),) = export_files(labels, kind)
        return f"{folder}.json", "application/json", content
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in export_files(labels, kind):
            archive.writestr(name, content)
    return f"{folder}_{kind}.zip", "application/zip", stream.getvalue()


def _proposal_json(proposal: Proposal) -> Json:
    mask = mask_json(proposal.mask, proposal.predicted_iou)
    return {**mask, "category": page_id(proposal.category), "score": proposal.score, "point": proposal.point_xy}


def _state_json(photo: PhotoState) -> list[Any]:
    """Short: a folder has thousands."""
    return [photo.name, photo.state, photo.count]
