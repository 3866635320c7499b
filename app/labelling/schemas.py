"""What a page that labels a folder may send: one checked, frozen request for each server function."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..limits import MAX_OBJECTS, MAX_UNANSWERED
from ..schemas import OpenRequest, Request, Rle
from .label_formats import Kind

_Name = Annotated[str, Field(min_length=1, max_length=1000)]  # of a photo, relative to the folder
_Id = int | str
_ClassName = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]


class OpenFolderPhotoRequest(OpenRequest):
    name: _Name


class ProposeRequest(OpenFolderPhotoRequest):
    pass


class ThumbnailsRequest(Request):
    names: tuple[_Name, ...] = Field(max_length=40)


class SentLayer(BaseModel):
    """An object as the page has it; see ``label_store.LabelLayer``."""

    model_config = ConfigDict(frozen=True)

    annotation: _Id | None = None
    category: _Id
    rle: Rle


class SaveLabelsRequest(Request):
    folder: str = Field("", max_length=64)  # ``LabelStore.identity``
    name: _Name
    revision: str = Field("", max_length=64)
    change: str = Field("", max_length=64)  # see ``label_store.Change``
    unanswered: tuple[Annotated[str, Field(max_length=64)], ...] = Field((), max_length=MAX_UNANSWERED)
    state: Literal["in work", "done"]
    layers: tuple[SentLayer, ...] = Field(max_length=MAX_OBJECTS)  # the lowest first


class AddClassRequest(Request):
    name: _ClassName


class ChangeClassRequest(Request):
    id: _Id
    name: _ClassName
    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class RemoveClassRequest(Request):
    id: _Id


class ChangesRequest(Request):
    session: str = Field("", max_length=64)
    version: int = 0


class ExportRequest(Request):
    kind: Kind
