"""Where a simulated user clicks next, to correct a predicted mask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from repvit_sam.masks import Mask

from .ground_truth import Point, deepest_pixel, depth_inside

NextClick = Literal["deepest", "ritm"]


def next_click(
    truth: Mask, predicted: Mask, rule: NextClick = "deepest", clicked: Iterable[Point] = ()
) -> tuple[Point, int] | None:
    """The next click (point and label) to correct a predicted mask; None if no pixel is wrong.

    The click is at the deepest point of the error, as in RITM (Sofiiuk et al., arXiv 2102.06583): with label 1 where
    object is missing, 0 where there is too much. If both errors are equally deep, "deepest" clicks the missing object;
    "ritm" clicks the excess, and never clicks a pixel twice, as the code of RITM does.

    Args:
        clicked: the earlier points, for "ritm".
    """
    if (truth == predicted).all():
        return None
    missing, excess = depth_inside(truth & ~predicted), depth_inside(predicted & ~truth)
    if rule == "ritm":
        for x, y in clicked:
            missing[int(y), int(x)] = excess[int(y), int(x)] = 0
    (missing_depth, missing_point), (excess_depth, excess_point) = deepest_pixel(missing), deepest_pixel(excess)
    if not max(missing_depth, excess_depth):
        return None  # all wrong pixels have been clicked
    object_is_missing = missing_depth > excess_depth or (rule == "deepest" and missing_depth == excess_depth)
    return (missing_point, 1) if object_is_missing else (excess_point, 0)
