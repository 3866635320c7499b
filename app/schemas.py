"""What a page may send: one checked, frozen request for each server function. Coordinates are photo pixels."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .limits import MAX_CORNERS, MAX_LAYERS, MAX_POINTS, MAX_PROMPT_SETS

_ShortText = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
_Coordinate = Annotated[float, Field(ge=-1e5, le=1e5, allow_inf_nan=False)]
_Corner = tuple[_Coordinate, _Coordinate]  # x, y
_Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class RequestError(ValueError):
    """A request that the page does not send: wrong shape, wrong values, or something that this server does not have."""


class Request(BaseModel):
    """What all requests have in common."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    visitor: _ShortText = "guest"  # a random name that a page gives itself; the scheduler shares time by it


class PromptSet(BaseModel):
    """Points and a box for one call of the decoder.

    Attributes:
        pick: which of the three candidates the person chose; None takes the best.
        refine: a second look at that candidate.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    points: tuple[tuple[float, float, Literal[0, 1]], ...] = Field((), max_length=MAX_POINTS)  # x, y, label
    box: tuple[float, float, float, float] | None = None  # two opposite corners
    pick: int | None = Field(None, ge=0, le=2)
    refine: bool = False

    @field_validator("points", "box")
    @classmethod
    def _finite(cls, value: Any) -> Any:
        numbers = [n for point in value for n in point] if value and isinstance(value[0], tuple) else value or ()
        if not all(math.isfinite(n) and abs(n) < 1e6 for n in numbers):
            raise ValueError("coordinates must be finite photo pixels")
        return value

    @property
    def has_object(self) -> bool:
        """Whether there is an object to find: background points alone give no mask."""
        return self.box is not None or any(label for _, _, label in self.points)

    @property
    def ambiguous(self) -> bool:
        """Whether it is one point alone, which may mean the whole object, a part or a part of a part."""
        return self.box is None and len(self.points) == 1

    @property
    def box_xyxy(self) -> tuple[float, float, float, float] | None:
        """x0, y0, x1, y1 with x0 <= x1 and y0 <= y1, whichever way the box was drawn."""
        if self.box is None:
            return None
        xa, ya, xb, yb = self.box
        return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)


PromptChain = tuple[PromptSet, ...]  # the logits picked from each set are the mask input of the next


class _PhotoRequest(Request):
    photo: _ShortText  # its token
    checkpoint: _ShortText = "default"


class OpenRequest(Request):
    checkpoint: _ShortText = "default"
    ticket: _ShortText = ""  # a random name for the job, to ask for its progress or to cancel it


class OpenExampleRequest(OpenRequest):
    name: _ShortText


class ResumeRequest(OpenRequest):
    photo: _ShortText


class PredictRequest(_PhotoRequest):
    chain: PromptChain = Field(min_length=1, max_length=MAX_PROMPT_SETS)


class HoverRequest(_PhotoRequest):
    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)


class EverythingRequest(_PhotoRequest):
    ticket: _ShortText = ""
    points_per_side: int = Field(32, ge=1, le=64)
    pred_iou_thresh: float = Field(0.86, ge=0, le=1)
    stability_score_thresh: float = Field(0.92, ge=0, le=1)
    min_mask_region_area: int = Field(100, ge=0, le=1_000_000)


class TextRequest(_PhotoRequest):
    ticket: _ShortText = ""
    text: Annotated[str, Field(max_length=1000)]


class TicketRequest(Request):
    ticket: _ShortText


class Rle(BaseModel):
    """COCO's compressed RLE."""

    size: tuple[int, int]  # height, width
    counts: Annotated[str, Field(max_length=4_000_000)]


class Layer(BaseModel):
    """A mask that a person kept."""

    name: _ShortText
    colour: _Colour
    rle: Rle


class DownloadRequest(Request):
    photo: _ShortText
    kind: Literal["cutout", "mask", "overlay", "coco", "svg"]
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=MAX_LAYERS)
    full_size: bool = False
    feather: float = Field(0, ge=0, le=50)  # pixels


class BrushEdit(BaseModel):
    """A stroke of a round brush, or of the eraser."""

    kind: Literal["brush"]
    points: tuple[_Corner, ...] = Field(min_length=1, max_length=MAX_CORNERS)
    diameter: float = Field(ge=1, le=4000, allow_inf_nan=False)  # photo pixels
    erase: bool = False


class OutlineEdit(BaseModel):
    """Closed loops instead of the mask; where they overlap, every second one is a hole."""

    kind: Literal["outline"]
    loops: tuple[Annotated[tuple[_Corner, ...], Field(min_length=3, max_length=MAX_CORNERS)], ...] = Field(
        max_length=1000
    )


class PartsEdit(BaseModel):
    """Fill holes, keep the largest part alone, or make a mask of each part."""

    kind: Literal["fill_holes", "drop_islands", "split"]


class CombineEdit(BaseModel):
    """Add other masks, or take them away."""

    kind: Literal["merge", "cut"]
    others: tuple[Rle, ...] = Field(min_length=1, max_length=MAX_LAYERS)


class EditRequest(Request):
    """A mask corrected by hand."""

    photo: _ShortText
    rle: Rle | None  # None: an empty mask
    edit: BrushEdit | OutlineEdit | PartsEdit | CombineEdit = Field(discriminator="kind")


class OutlineRequest(Request):
    photo: _ShortText
    rle: Rle


class SnippetObject(BaseModel):
    """One mask of a Python snippet: the prompts that made it, or the mask itself where everything mode found it."""

    name: _ShortText
    checkpoint: _ShortText = "default"
    chain: PromptChain = Field((), max_length=MAX_PROMPT_SETS)
    rle: Rle | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> SnippetObject:
        if bool(self.chain) == bool(self.rle):
            raise ValueError("give either a chain or an rle")
        return self


class SnippetRequest(Request):
    name: _ShortText  # of the photo's file
    objects: tuple[SnippetObject, ...] = Field(max_length=MAX_LAYERS)


Schema = TypeVar("Schema", bound=BaseModel)


def parse(schema: type[Schema], data: object) -> Schema:
    """Check the JSON of a request.

    Raises:
        RequestError: names the first field that is missing or wrong.
    """
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the request"
        raise RequestError(f"{field}: {first['msg']}") from None
