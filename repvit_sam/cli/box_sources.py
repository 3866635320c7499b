"""Where the boxes of ``repvit-sam segment`` come from for each photo: a text and its detector, or a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..console import loading_model
from ..detections import Detections
from ..photo import Photo, find_photos

BoxSource = Callable[[Path, Photo], Detections]  # the path of a photo and its pixels -> boxes


@dataclass(frozen=True)
class TextBoxes:
    """``--text`` and its options; None for thresholds of the detector's own."""

    text: str
    detector: str
    box_threshold: float | None
    text_threshold: float | None
    most: int

    def open(self, device: str) -> BoxSource:
        """Loads the detector, after the text was checked.

        Raises:
            RepVitSamError: as ``text_labels`` and ``load_text_detector``.
        """
        from ..text_detector import load_text_detector, text_labels

        labels = text_labels(self.text)
        with loading_model(f"the detector {self.detector} (downloaded at its first use)"):
            detector = load_text_detector(self.detector, device)

        def find(path: Path, photo: Photo) -> Detections:
            return detector.detect(photo, labels, self.box_threshold, self.text_threshold, max_boxes=self.most)

        return find


@dataclass(frozen=True)
class FileBoxes:
    """``--boxes`` and its options."""

    path: Path
    annotations: Path | None
    min_score: float
    most: int

    def open(self, words: list[str]) -> BoxSource:
        """Reads the file and finds the entries of each photo.

        Raises:
            RepVitSamError: as ``read_detections`` and ``DetectionFile.for_photos``.
        """
        from ..detection_files import read_detections

        by_photo = read_detections(self.path, self.annotations).for_photos(find_photos(words))

        def find(path: Path, photo: Photo) -> Detections:
            return by_photo[path].on_photo((photo.shape[0], photo.shape[1]), self.min_score, self.most)

        return find
