"""Boxes for words: open-vocabulary detectors of the library transformers (extra ``text``).

Grounding DINO (arXiv 2303.05499) and MM Grounding DINO read all labels as one text and score each of its tokens; OWLv2
(arXiv 2306.09683) and OWL-ViT score each label. Their networks and what goes in and comes out are transformers'; here
are the choice of the label, the removal of duplicates, and one form for both.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .detections import MAX_BOXES, Detections
from .errors import CheckpointError, FetchError, PromptError, RepVitSamError
from .photo import PhotoSource, read_photo

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SHORT_NAMES = {
    "grounding-dino-tiny": "IDEA-Research/grounding-dino-tiny",
    "grounding-dino-base": "IDEA-Research/grounding-dino-base",
    "owlv2-base": "google/owlv2-base-patch16-ensemble",
    "owlv2-large": "google/owlv2-large-patch14-ensemble",
}
NMS_IOU = 0.5  # of two boxes of one label; as torchvision's and detectron2's detectors have it

_log = logging.getLogger("repvit_sam")


@dataclass(frozen=True)
class _Kind:
    """A family of detectors.

    Attributes:
        find: (detector, photo as a PIL image, labels, box_threshold, text_threshold) -> boxes (N, 4), scores (N,) and
            the index of each box's label (N,), on the CPU.
        box_threshold, text_threshold: what its authors' examples take.
    """

    find: Callable[..., tuple[Tensor, Tensor, Tensor]]
    box_threshold: float
    text_threshold: float = 0.0


@dataclass(frozen=True, eq=False)
class TextDetector:
    """An open-vocabulary detector; ``load_text_detector`` makes one.

    Attributes:
        name: what it was loaded by.
        kind: transformers' name of its family: "grounding-dino", "mm-grounding-dino", "owlv2" or "owlvit".
        network: its model, in eval mode.
        processor: makes the model's inputs, and boxes of its outputs.
        device: where the network is.
    """

    name: str
    kind: str
    network: Any
    processor: Any
    device: torch.device

    def detect(
        self,
        photo: PhotoSource,
        text: str | Sequence[str],
        box_threshold: float | None = None,
        text_threshold: float | None = None,
        *,
        nms_iou: float = NMS_IOU,
        max_boxes: int = MAX_BOXES,
    ) -> Detections:
        """Boxes for the labels of a text, highest score first.

        Args:
            photo: whatever ``read_photo`` takes: (H, W, 3) uint8 RGB, a path, bytes, a PIL image, ...
            text: labels, as ``text_labels`` takes them: "cat. remote control."
            box_threshold: boxes with a higher score are kept. None takes 0.35 for Grounding DINO and 0.1 for OWLv2 and
                OWL-ViT, which score lower.
            text_threshold: Grounding DINO only. The score of a box is that of the best token of the whole text,
                separators included; the best token of its label must be above this. None takes 0.25.
            nms_iou: of two boxes of one label that overlap more than this (intersection over union), the better stays.
            max_boxes: so many of highest score are kept.

        Returns:
            boxes within the photo, in its pixels; the label of each as it stands in the text.

        Raises:
            PhotoError: the photo cannot be read.
            PromptError: no label, or more text than the detector reads.
            ValueError: a threshold outside 0..1.
        """
        import torch

        labels, kind = text_labels(text), _KINDS[self.kind]
        box_threshold = _share("box_threshold", kind.box_threshold if box_threshold is None else box_threshold)
        text_threshold = _share("text_threshold", kind.text_threshold if text_threshold is None else text_threshold)
        picture = read_photo(photo)
        with torch.inference_mode():
            boxes, scores, numbers = kind.find(self, Image.fromarray(picture), labels, box_threshold, text_threshold)
        label_numbers = numbers.numpy()
        found = Detections(
            boxes.double().numpy(),
            tuple(labels[number] for number in label_numbers),
            scores.double().numpy(),
            label_numbers.astype(np.int64) + 1,
        )
        height, width = picture.shape[:2]
        return _without_duplicates(found.within((height, width)), _share("nms_iou", nms_iou)).best(max_boxes)


def load_text_detector(
    name_or_folder: str | Path = "IDEA-Research/grounding-dino-tiny", device: str | torch.device = "auto"
) -> TextDetector:
    """A detector that finds what a text names.

    Args:
        name_or_folder: a folder with a detector as transformers saves it; or OWNER/NAME on huggingface.co, which
            transformers downloads into its own cache at the first call; or short for one: "grounding-dino-tiny",
            "grounding-dino-base", "owlv2-base", "owlv2-large". Grounding DINO, MM Grounding DINO, OWLv2 and OWL-ViT.
        device: "auto" takes CUDA, then Apple's MPS, then the CPU; else a device as torch names it.

    Raises:
        RepVitSamError: transformers is not installed.
        FetchError: it cannot be downloaded.
        CheckpointError: no such folder or name, or something else than such a detector.
        ValueError: the device is not available.

    Example:
        >>> import repvit_sam
        >>> repvit_sam.load_text_detector("photos")
        Traceback (most recent call last):
        repvit_sam.errors.CheckpointError: 'photos' is neither a folder nor a detector's name; known names: \
grounding-dino-tiny, grounding-dino-base, owlv2-base, owlv2-large, or OWNER/NAME on huggingface.co
    """
    from .device import pick_device

    chosen = pick_device(device)
    source, is_folder = _source(str(name_or_folder))
    with _quiet_transformers():
        try:
            kind, network, processor, missing = _read(source)
        except RepVitSamError:
            raise
        except Exception as error:  # whatever transformers says about the files
            if is_folder or not isinstance(error, OSError):
                raise CheckpointError(
                    f"{source} holds no text detector that can be loaded ({type(error).__name__}: {_sentence(error)})"
                ) from error
            raise FetchError(
                f"the text detector {source} cannot be had from huggingface.co ({_sentence(error)}); check name and "
                "connection, or give a folder with the detector's files"
            ) from error
    if missing:
        _log.warning("%s lacks %d of its weights, %s first; they are random", source, len(missing), min(missing))
    return TextDetector(str(name_or_folder), kind, network.to(chosen).eval(), processor, chosen)


def text_labels(text: str | Sequence[str]) -> tuple[str, ...]:
    """The labels of a text, each once.

    Args:
        text: labels separated by full stops, commas, semicolons or line breaks: "cat. remote control."; or a list of
            labels, which may have commas. Detectors are shown them in lower case.

    Raises:
        PromptError: no label, or a full stop within a label of a list (Grounding DINO's separator).
    """
    if isinstance(text, str):
        parts = re.split(r"[.,;\n]", text)
    else:
        parts = list(text)
        wrong = [part for part in parts if not isinstance(part, str) or "." in part]
        if wrong:
            raise PromptError(f"each label must be text without a full stop, got {wrong[0]!r}")
    labels: dict[str, str] = {}
    for part in parts:
        label = " ".join(part.split())
        if label:
            labels.setdefault(label.lower(), label)
    if not labels:
        raise PromptError(f"the text names nothing to look for: expected 'cat. remote control.', got {text!r}")
    return tuple(labels.values())


def _find_by_token(
    detector: TextDetector, picture: Image.Image, labels: Sequence[str], box_threshold: float, text_threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Grounding DINO: one text, a score for each of its tokens.

    transformers names a box by the tokens above text_threshold, in which two labels may run together ("cat. remote")
    or one may be cut ("control"). Here it has the label with the best token.
    """
    text = " ".join(f"{label.lower()}." for label in labels)
    inputs = detector.processor(images=picture, text=text, return_tensors="pt").to(detector.device)
    tokens = inputs["input_ids"][0]
    most = detector.network.config.max_text_len
    if len(tokens) > most:
        raise PromptError(f"the text has {len(tokens)} tokens, {detector.name} reads {most}; give fewer labels at once")
    outputs = detector.network(**inputs)
    # a threshold that nothing fails: all boxes, in the order of the logits that the labels are read from
    (found,) = detector.processor.post_process_grounded_object_detection(
        outputs, tokens[None], threshold=-1.0, text_threshold=1.0, target_sizes=[(picture.height, picture.width)]
    )
    token_scores = outputs.logits[0, :, : len(tokens)].sigmoid().cpu()  # (Q, T)
    label_scores, numbers = _label_scores(detector, token_scores, tokens.cpu(), labels).max(dim=1)
    boxes, scores = found["boxes"].cpu(), found["scores"].cpu()
    kept = (scores > box_threshold) & (label_scores > text_threshold)
    return boxes[kept], scores[kept], numbers[kept]


def _label_scores(detector: TextDetector, token_scores: Tensor, tokens: Tensor, labels: Sequence[str]) -> Tensor:
    """(Q, T) scores of tokens -> (Q, L): the best token of each label, whose tokens end with a full stop each."""
    import torch

    tokenizer = detector.processor.tokenizer
    ends = tokens == tokenizer.convert_tokens_to_ids(".")
    inside = ~ends & (tokens != tokenizer.cls_token_id) & (tokens != tokenizer.sep_token_id)
    number_of_token = ends.cumsum(0)  # how many labels have ended before a token is which label it belongs to
    columns = []
    for number, label in enumerate(labels):
        own = inside & (number_of_token == number)
        if not own.any():
            raise PromptError(f"{detector.name} has no token for the label {label!r}; give another word")
        columns.append(token_scores[:, own].amax(dim=1))
    return torch.stack(columns, dim=1)


def _find_by_label(
    detector: TextDetector, picture: Image.Image, labels: Sequence[str], box_threshold: float, text_threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """OWLv2 and OWL-ViT: a text for each label."""
    texts = [label.lower() for label in labels]
    most = detector.network.config.text_config.max_position_embeddings
    for label, tokens in zip(labels, detector.processor.tokenizer(texts)["input_ids"], strict=True):
        if len(tokens) > most:
            raise PromptError(f"{label!r} has {len(tokens)} tokens, {detector.name} reads {most}; give a shorter label")
    inputs = detector.processor(images=picture, text=[texts], return_tensors="pt").to(detector.device)
    outputs = detector.network(**inputs)
    (found,) = detector.processor.post_process_grounded_object_detection(
        outputs, threshold=box_threshold, target_sizes=[(picture.height, picture.width)]
    )
    return found["boxes"].cpu(), found["scores"].cpu(), found["labels"].cpu()


_KINDS = {
    # 0.35 and 0.25: IDEA-Research/GroundingDINO, README; 0.1: google/owlv2-base-patch16-ensemble, model card
    "grounding-dino": _Kind(_find_by_token, 0.35, 0.25),
    "mm-grounding-dino": _Kind(_find_by_token, 0.35, 0.25),
    "owlv2": _Kind(_find_by_label, 0.1),
    "owlvit": _Kind(_find_by_label, 0.1),
}


def _without_duplicates(found: Detections, nms_iou: float) -> Detections:
    """Non-maximum suppression among the boxes of each label."""
    import torch
    from torchvision.ops import batched_nms

    boxes, scores, categories = (
        torch.from_numpy(array) for array in (found.boxes_xyxy, found.scores, found.category_ids)
    )
    return found.take(batched_nms(boxes, scores, categories, nms_iou).numpy())


def _source(name: str) -> tuple[str, bool]:
    """What transformers is asked for, and whether it is a folder."""
    if Path(name).is_dir():
        return name, True
    source = SHORT_NAMES.get(name, name)
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source):
        raise CheckpointError(
            f"{name!r} is neither a folder nor a detector's name; known names: {', '.join(SHORT_NAMES)}, "
            "or OWNER/NAME on huggingface.co"
        )
    return source, False


def _read(source: str) -> tuple[str, Any, Any, set[str]]:
    """Kind, network, processor, and the names of weights that the files do not have."""
    from transformers import AutoConfig, AutoModelForZeroShotObjectDetection, AutoProcessor

    # code that comes with a model is never run
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    if config.model_type not in _KINDS:
        raise CheckpointError(f"{source} is a model of type {config.model_type}, expected {', '.join(_KINDS)}")
    network, report = AutoModelForZeroShotObjectDetection.from_pretrained(
        source, config=config, trust_remote_code=False, output_loading_info=True
    )
    processor = AutoProcessor.from_pretrained(source, trust_remote_code=False)
    return config.model_type, network, processor, set(report["missing_keys"])


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bars and no messages below an error while files are read; afterwards as it was.

    Raises:
        RepVitSamError: it is not installed.
    """
    try:
        from huggingface_hub.utils import logging as hub_settings
        from transformers.utils import logging as settings
    except ImportError as error:
        raise RepVitSamError(f"text prompts need transformers ({error}): pip install 'repvit-sam[text]'") from None
    levels, bars = (settings.get_verbosity(), hub_settings.get_verbosity()), settings.is_progress_bar_enabled()
    settings.set_verbosity_error()
    hub_settings.set_verbosity_error()  # five lines about five attempts to connect
    settings.disable_progress_bar()
    try:
        yield
    finally:
        settings.set_verbosity(levels[0])
        hub_settings.set_verbosity(levels[1])
        if bars:
            settings.enable_progress_bar()


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be within 0..1, got {value:g}")
    return value


def _sentence(error: Exception) -> str:
    """The first sentence of a message that may have many lines."""
    return re.split(r"[.:]?\s*\n|\.\s", str(error).strip(), maxsplit=1)[0][:300] or "no reason given"
