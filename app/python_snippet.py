"""What was done on the page as a Python program of the library's own calls ("copy as Python")."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence

from .inference import ordered_box
from .schemas import CodeObject, Step

_OPEN = """predictor = repvit_sam.SamPredictor(repvit_sam.load({checkpoint!r}))
predictor.set_image({name!r})
"""


def as_python(name: str, objects: Sequence[CodeObject]) -> str:
    """A program that makes the same masks, one (H, W) bool array an object."""
    decoded = any(item.rle for item in objects)
    parts = ["import repvit_sam\n" + ("from repvit_sam.masks import decode_rle\n" if decoded else "")]
    taken: set[str] = set()
    opened = None
    for item in objects:
        if item.chain and item.checkpoint != opened:
            parts.append(_OPEN.format(checkpoint=item.checkpoint, name=name))
            opened = item.checkpoint
        variable = _variable(item.name, taken)
        taken.add(variable)
        lines = [f"# {item.name}".replace("\n", " ")]
        if item.rle:
            rle = {"size": list(item.rle.size), "counts": item.rle.counts}
            parts.append("\n".join([*lines, f"{variable} = decode_rle({rle!r})"]) + "\n")
            continue
        for number, step in enumerate(item.chain):
            lines += _lines(step, first=number == 0)
        parts.append("\n".join([*lines, f"{variable} = masks[pick]"]) + "\n")
    return "\n".join(parts)


def _lines(step: Step, first: bool) -> list[str]:
    """One call of ``predict``, and which of its masks is meant; see candidates.py for the rule."""
    three = first and step.ambiguous
    behind_single = not three and step.pick not in (None, 0)
    arguments = []
    if step.points:
        arguments.append(f"point_coords={[[_number(x), _number(y)] for x, y, _ in step.points]}")
        arguments.append(f"point_labels={[label for *_, label in step.points]}")
    if step.box:
        arguments.append(f"box={[_number(n) for n in ordered_box(step.box)]}")
    if not first:
        arguments.append("mask_input=low_res_logits[pick : pick + 1]")
    arguments.append(f"multimask_output={three or behind_single}")
    call = [
        "masks, iou_predictions, low_res_logits = predictor.predict(",
        *(f"    {argument}," for argument in arguments),
        ")",
    ]
    if behind_single:
        assert step.pick is not None
        return [*call, f"pick = int(iou_predictions.argsort()[-{step.pick}])"]
    if three and step.pick is None:
        return [*call, "pick = int(iou_predictions.argmax())"]
    return [*call, f"pick = {step.pick or 0}"]


def _number(value: float) -> float:
    return round(value, 2)


def _variable(name: str, taken: set[str]) -> str:
    word = re.sub(r"\W+", "_", name.lower()).strip("_") or "mask"
    reserved = {"masks", "iou_predictions", "low_res_logits", "predictor", "repvit_sam", "pick", "int", "decode_rle"}
    if not f"a{word}".isidentifier():
        word = "mask"
    if word[0].isdigit() or keyword.iskeyword(word) or word in reserved:
        word = f"mask_{word}"
    number, free = 2, word
    while free in taken:
        free, number = f"{word}_{number}", number + 1
    return free
