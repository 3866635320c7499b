"""What was done on the page as a Python program of the library's own calls ("copy as Python")."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence

from .schemas import PromptSet, SnippetObject

_OPEN = """predictor = repvit_sam.SamPredictor(repvit_sam.load({checkpoint!r}))
predictor.set_image({name!r})
"""
_RESERVED = {"masks", "iou_predictions", "low_res_logits", "predictor", "repvit_sam", "pick", "int", "decode_rle"}


def write_snippet(name: str, objects: Sequence[SnippetObject]) -> str:
    """A program that makes the same masks, one (H, W) bool array an object.

    Args:
        name: of the photo's file.
    """
    uses_rle = any(item.rle for item in objects)
    parts = ["import repvit_sam\n" + ("from repvit_sam.rle import decode_rle\n" if uses_rle else "")]
    variables: set[str] = set()
    checkpoint = None
    for item in objects:
        if item.chain and item.checkpoint != checkpoint:
            parts.append(_OPEN.format(checkpoint=item.checkpoint, name=name))
            checkpoint = item.checkpoint
        variable = _variable(item.name, variables)
        variables.add(variable)
        parts.append("\n".join([f"# {item.name}", *_statements(item, variable)]) + "\n")
    return "\n".join(parts)


def _statements(item: SnippetObject, variable: str) -> list[str]:
    if item.rle:
        rle = {"size": list(item.rle.size), "counts": item.rle.counts}
        return [f"{variable} = decode_rle({rle!r})"]
    calls = []
    for number, prompts in enumerate(item.chain):
        calls += _call(prompts, is_first=number == 0)
        if prompts.refine:
            calls += [*_call_of("refine", ["low_res_logits[pick : pick + 1]", *_prompts(prompts)]), "pick = 0"]
    return [*calls, f"{variable} = masks[pick]"]


def _call(prompts: PromptSet, is_first: bool) -> list[str]:
    """One call of ``predict``, and which of its masks is picked; inference.py has the rule."""
    three = is_first and prompts.ambiguous
    after_single = not three and prompts.pick not in (None, 0)
    arguments = _prompts(prompts)
    if not is_first:
        arguments.append("mask_input=low_res_logits[pick : pick + 1]")
    arguments.append(f"multimask_output={three or after_single}")
    call = _call_of("predict", arguments)
    if after_single:
        assert prompts.pick is not None
        return [*call, f"pick = int(iou_predictions.argsort()[-{prompts.pick}])"]
    if three and prompts.pick is None:
        return [*call, "pick = int(iou_predictions.argmax())"]
    return [*call, f"pick = {prompts.pick or 0}"]


def _prompts(prompts: PromptSet) -> list[str]:
    arguments = []
    if prompts.points:
        arguments.append(f"point_coords={[[_rounded(x), _rounded(y)] for x, y, _ in prompts.points]}")
        arguments.append(f"point_labels={[label for *_, label in prompts.points]}")
    if prompts.box_xyxy:
        arguments.append(f"box={[_rounded(n) for n in prompts.box_xyxy]}")
    return arguments


def _call_of(method: str, arguments: Sequence[str]) -> list[str]:
    results = "masks, iou_predictions, low_res_logits"
    return [f"{results} = predictor.{method}(", *(f"    {argument}," for argument in arguments), ")"]


def _rounded(pixels: float) -> float:
    return round(pixels, 2)


def _variable(name: str, in_use: set[str]) -> str:
    """A layer's name as a variable that is not in use."""
    word = re.sub(r"\W+", "_", name.lower()).strip("_") or "mask"
    if not f"a{word}".isidentifier():
        word = "mask"
    if word[0].isdigit() or keyword.iskeyword(word) or word in _RESERVED:
        word = f"mask_{word}"
    number, free = 2, word
    while free in in_use:
        free, number = f"{word}_{number}", number + 1
    return free
