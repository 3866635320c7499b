"""How a simulated user asks, and which mask counts: the choices in which published tables differ, and presets by name.

Figures of different protocols are not comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from .ground_truth import NextClick

Choice = Literal["single", "best-predicted", "oracle"]
BoxSource = Literal["mask", "annotation"]
FirstClick = Literal["deepest", "centroid"]
Place = Literal["centre", "corner"]

_OPTIONS: dict[str, Any] = {"box": BoxSource, "first_click": FirstClick, "next_click": NextClick, "point_at": Place}


@dataclass(frozen=True)
class ClickProtocol:
    """Attributes:
    box: the tight box of the true mask, or the annotation's ``bbox``.
    masks: for a box, for a first click, for further clicks. "single": the decoder's single mask. "best-predicted":
        of its three the one of best predicted IoU. "oracle": of the three the one that is truly best, a bound that
        nobody reaches who does not know the truth.
    first_click: the pixel deepest inside the object, or that nearest to the mean of its pixels.
    next_click: "deepest" or "ritm" (clicking.py ``next_click``).
    point_at: a click lies in the centre of its pixel, or in its upper left corner, as integer coordinates say.
    feedback: the logits of the mask before go in again with further clicks.
    clicks: how many there are when a mask is scored, without a box.
    clicks_after_box: further clicks where the first prompt was a box.
    crowds: crowd regions are instances too.
    min_area: annotated area below which an instance is left out, in pixels.
    source: whose protocol it is, and how that is known.
    """

    name: str
    box: BoxSource = "mask"
    masks: tuple[Choice, Choice, Choice] = ("single", "best-predicted", "single")
    first_click: FirstClick = "deepest"
    next_click: NextClick = "deepest"
    point_at: Place = "centre"
    feedback: bool = True
    clicks: tuple[int, ...] = (1, 2, 3, 5)
    clicks_after_box: int = 0
    crowds: bool = False
    min_area: float = 1
    source: str = ""

    def __post_init__(self) -> None:
        for field, known in _OPTIONS.items():
            if getattr(self, field) not in get_args(known):
                raise ValueError(f"--{_option(field)} must be one of {_listed(known)}, got {getattr(self, field)!r}")
        if len(self.masks) != 3 or any(choice not in get_args(Choice) for choice in self.masks):
            raise ValueError(
                f"--masks must be one of {_listed(Choice)}, or three of them with commas between (for the box, the "
                f"first click, further clicks), got {','.join(self.masks)!r}"
            )
        if not self.clicks or min(self.clicks) < 1 or list(self.clicks) != sorted(set(self.clicks)):
            raise ValueError(f"--clicks must be rising numbers from 1 on, as 1,2,3,5; got {self.clicks}")
        if self.clicks_after_box < 0:
            raise ValueError(f"--clicks-after-box must be 0 or more, got {self.clicks_after_box}")

    @property
    def rounds(self) -> int:
        """Clicks that are made: each number up to the last, whichever are shown."""
        return max(self.clicks)

    @property
    def prompts(self) -> tuple[str, ...]:
        """The rows of the table."""
        boxes = (prompt_name(count, box=True) for count in range(self.clicks_after_box + 1))
        return (*boxes, *(prompt_name(count) for count in self.clicks))

    def settings(self) -> dict[str, Any]:
        """What decides the masks: neither names, nor which of the clicks made are shown."""
        choices = {key: value for key, value in asdict(self).items() if key not in ("name", "source", "clicks")}
        return {**choices, "rounds": self.rounds}


CLICK_PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        ClickProtocol("house", source="this project's: box and first click as SAM's authors advise, clicks as in RITM"),
        ClickProtocol(
            "efficientvit",
            box="annotation",
            masks=("best-predicted", "best-predicted", "best-predicted"),
            next_click="ritm",
            point_at="corner",
            feedback=False,
            crowds=True,
            source="EfficientViT-SAM, eval_efficientvit_sam_model.py: best of three at every step, no mask goes in "
            "again, areas from 1 pixel on, crowds as well",
        ),
        ClickProtocol(
            "edgesam",
            masks=("single", "single", "single"),
            feedback=False,
            clicks=(1, 2, 3),
            clicks_after_box=2,
            source="EdgeSAM, by its description: the true box or the mask's centre, then up to two points where answer "
            "and truth differ; one mask (--masks best-predicted or oracle: its score and oracle). Where in the "
            "difference a point falls is not told: here where it is deepest",
        ),
    )
}


def find_protocol(name: str, **choices: Any) -> ClickProtocol:
    """A preset, with single choices replaced by those that are not None.

    Raises:
        ValueError: no preset of this name, or a choice that is none.
    """
    if name not in CLICK_PROTOCOLS:
        raise ValueError(f"--protocol must be one of {', '.join(CLICK_PROTOCOLS)}, got {name!r}")
    preset = CLICK_PROTOCOLS[name]
    changed = {key: value for key, value in choices.items() if value is not None and value != getattr(preset, key)}
    named = [key for key in changed if key not in ("clicks", "min_area")]  # those do not change a mask
    return replace(preset, name=f"{name}, changed" if named else name, **changed)


def protocol_from_json(choices: Mapping[str, Any]) -> ClickProtocol:
    """What ``dataclasses.asdict`` made of a protocol, read back; other keys are passed over."""
    known = {field.name for field in fields(ClickProtocol)}
    found: dict[str, Any] = {}
    for key in choices.keys() & known:
        found[key] = tuple(choices[key]) if isinstance(choices[key], list) else choices[key]
    return ClickProtocol(**found)


def read_masks(words: str | None) -> tuple[str, ...] | None:
    """'oracle' -> three times that; 'single,best-predicted,single' -> its parts."""
    if words is None:
        return None
    parts = tuple(words.split(","))
    return parts * 3 if len(parts) == 1 else parts


def read_clicks(words: str | None) -> tuple[int, ...] | None:
    """'1,2,3,5' -> its numbers.

    Raises:
        ValueError: not numbers.
    """
    try:
        return None if words is None else tuple(int(part) for part in words.split(","))
    except ValueError:
        raise ValueError(f"--clicks must be numbers with commas between, as 1,2,3,5; got {words!r}") from None


def prompt_name(clicks: int, box: bool = False) -> str:
    """'box', '1 click', 'box + 2 clicks'."""
    words = [*(["box"] if box else []), *([f"{clicks} click{'' if clicks == 1 else 's'}"] if clicks else [])]
    return " + ".join(words)


def _option(field: str) -> str:
    return field.replace("_", "-")


def _listed(known: Any) -> str:
    values: Sequence[str] = get_args(known)
    return ", ".join(values)
