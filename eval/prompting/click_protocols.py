"""Protocols for clicks of a simulated user: the choices in which published evaluations differ, and presets by name.

Results of different protocols are not comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from .next_click import NextClick

ClickMaskChoice = Literal["single", "best-predicted", "oracle"]
BoxSource = Literal["mask", "annotation"]
FirstClick = Literal["deepest", "centroid"]
PointPosition = Literal["centre", "corner"]

_OPTIONS: dict[str, Any] = {
    "box": BoxSource,
    "first_click": FirstClick,
    "next_click": NextClick,
    "point_at": PointPosition,
}


@dataclass(frozen=True)
class ClickProtocol:
    """How boxes and clicks are made, and which mask is scored.

    Attributes:
        box: the tight box of the true mask, or the annotation's ``bbox``.
        masks: for a box, for a first click, for further clicks. "single": the decoder's single mask. "best-predicted":
            of its three masks, the one with the best predicted IoU. "oracle": of the three, the one with the best true
            IoU; an upper bound, as it needs the truth.
        first_click: at the pixel deepest inside the object, or at the one nearest to the mean of its pixels.
        next_click: "deepest" or "ritm" (``next_click.py``).
        point_at: coordinates of a click: the centre of its pixel, or the upper left corner (integers).
        feedback: the previous mask's logits are a prompt for further clicks.
        clicks: numbers of clicks after which masks are scored, without a box.
        clicks_after_box: number of further clicks where the first prompt is a box.
        refine: a second look at each object (``SamPredictor.predict``), after every prompt.
        crowds: crowd regions are instances too.
        min_area: instances with a smaller annotated area, in pixels, are left out.
        source: who uses the protocol, and how that is known.
    """

    name: str
    box: BoxSource = "mask"
    masks: tuple[ClickMaskChoice, ClickMaskChoice, ClickMaskChoice] = ("single", "best-predicted", "single")
    first_click: FirstClick = "deepest"
    next_click: NextClick = "deepest"
    point_at: PointPosition = "centre"
    feedback: bool = True
    clicks: tuple[int, ...] = (1, 2, 3, 5)
    clicks_after_box: int = 0
    refine: bool = False
    crowds: bool = False
    min_area: float = 1
    source: str = ""

    def __post_init__(self) -> None:
        for field, known in _OPTIONS.items():
            if getattr(self, field) not in get_args(known):
                raise ValueError(f"--{_option(field)} must be one of {_listed(known)}, got {getattr(self, field)!r}")
        if len(self.masks) != 3 or any(choice not in get_args(ClickMaskChoice) for choice in self.masks):
            raise ValueError(
                f"--masks must be one of {_listed(ClickMaskChoice)}, or three of them with commas between (for the "
                f"box, the first click, further clicks), got {','.join(self.masks)!r}"
            )
        if not self.clicks or min(self.clicks) < 1 or list(self.clicks) != sorted(set(self.clicks)):
            raise ValueError(f"--clicks must be rising numbers from 1 on, as 1,2,3,5; got {self.clicks}")
        if self.clicks_after_box < 0:
            raise ValueError(f"--clicks-after-box must be 0 or more, got {self.clicks_after_box}")

    @property
    def rounds(self) -> int:
        """Number of clicks that are made: up to the largest of ``clicks``, even if not all are shown."""
        return max(self.clicks)

    @property
    def prompts(self) -> tuple[str, ...]:
        """Names of the prompts in the order of the table's rows."""
        boxes = (prompt_name(count, box=True) for count in range(self.clicks_after_box + 1))
        return (*boxes, *(prompt_name(count) for count in self.clicks))

    def settings(self) -> dict[str, Any]:
        """The options that decide the masks: not the names, and not which numbers of clicks are shown."""
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
    """A preset, with those options replaced that are given and not None.

    Raises:
        ValueError: unknown name, or a value that an option does not have.
    """
    if name not in CLICK_PROTOCOLS:
        raise ValueError(f"--protocol must be one of {', '.join(CLICK_PROTOCOLS)}, got {name!r}")
    preset = CLICK_PROTOCOLS[name]
    changed = {key: value for key, value in choices.items() if value is not None and value != getattr(preset, key)}
    changes_masks = any(key not in ("clicks", "min_area") for key in changed)
    return replace(preset, name=f"{name}, changed" if changes_masks else name, **changed)


def protocol_from_json(choices: Mapping[str, Any]) -> ClickProtocol:
    """A protocol from the JSON of its ``dataclasses.asdict``; other keys are ignored."""
    known = {field.name for field in fields(ClickProtocol)}
    found: dict[str, Any] = {}
    for key in choices.keys() & known:
        found[key] = tuple(choices[key]) if isinstance(choices[key], list) else choices[key]
    return ClickProtocol(**found)


def read_masks(words: str | None) -> tuple[str, ...] | None:
    """'oracle' -> the same three times; 'single,best-predicted,single' -> its parts; None stays None."""
    if words is None:
        return None
    parts = tuple(words.split(","))
    return parts * 3 if len(parts) == 1 else parts


def read_clicks(words: str | None) -> tuple[int, ...] | None:
    """'1,2,3,5' -> its numbers; None stays None.

    Raises:
        ValueError: the text does not consist of numbers.
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
