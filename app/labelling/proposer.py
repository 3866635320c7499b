"""Proposals for one photo from those of the folder that are done. For the scheduler's thread alone."""

from __future__ import annotations

from collections.abc import Callable

from cachetools import LRUCache

from repvit_sam.rle import decode_rle

from ..schemas import RequestError
from ..service import MaskService
from .coco_document import PhotoPart
from .label_store import LabelStore, split_annotations
from .proposals import PhotoSums, Proposal, class_weights, photo_sums, propose

_MOST_PHOTOS = 40  # the last of those that are done; each is encoded once
_REMEMBERED = 200  # photos, 0.5 MB each for every class


class Proposer:
    """Learns from the photos that are done, and remembers what each of them taught.

    Attributes:
        taught: how many photos the last proposals were learnt from.
    """

    def __init__(self, service: MaskService, labels: LabelStore) -> None:
        self._service, self._labels = service, labels
        self._sums: LRUCache[tuple[str, str], PhotoSums] = LRUCache(_REMEMBERED)  # by revision and checkpoint
        self.taught = 0

    def propose(self, name: str, checkpoint: str, report_progress: Callable[[float], None]) -> list[Proposal]:
        """Objects on a photo.

        Raises:
            RequestError: no photo is done that has objects.
            PhotoError: a photo cannot be read.
        """
        parts = [part for part in self._labels.parts() if part.state == "done" and part.count]
        parts = [part for part in parts if self._labels.folder.name_of(part.file_name) != name][-_MOST_PHOTOS:]
        if not parts:
            raise RequestError("no other photo with objects is done yet; proposals are learnt from those")
        learnt = []
        for number, part in enumerate(parts):
            learnt.append(self._learn(part, checkpoint))
            report_progress((number + 1) / (len(parts) + 1))
        self.taught = len(learnt)
        stored = self._service.photos.add_file(name, self._labels.folder.path_of(name))
        encoded = self._service.encoded(stored, checkpoint)
        return propose(self._service.models.get(checkpoint), encoded, class_weights(learnt))

    def _learn(self, part: PhotoPart, checkpoint: str) -> PhotoSums:
        key = (part.revision, checkpoint)
        if key not in self._sums:
            name = self._labels.folder.name_of(part.file_name)
            assert name is not None  # LabelStore.parts gives the folder's own
            stored = self._service.photos.add_file(name, self._labels.folder.path_of(name))
            shown, _ = split_annotations(part.annotations(), stored.photo_hw)
            objects = ((record["category_id"], decode_rle(rle)) for record, rle in shown)
            self._sums[key] = photo_sums(self._service.encoded(stored, checkpoint), objects)
        return self._sums[key]
