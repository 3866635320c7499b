"""Images in Parquet: their bytes in a column, as Hugging Face's data sets have them, or their paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...errors import PhotoError
from ...photo import SUFFIXES
from .files import version_of, why_refused
from .source_image import SourceImage, unsafe_name
from .store import Store

_IMAGES = ("image", "image_bytes", "bytes", "jpg", "jpeg", "png", "webp", "img", "photo")
_PATHS = ("image", "path", "image_path", "file_name", "filename", "file")
_NAMES = ("file_name", "filename", "name", "__key__", "key", "id", "image_id")


def images_of_parquet(store: Store, path: str, name: str) -> Iterator[SourceImage]:
    """The images of a table, row by row.

    A column with the bytes is looked for (``image``, ``bytes``, ``jpg`` ..., or ``image.bytes`` within a struct), then
    one of paths relative to the file. A column with names (``file_name``, ``name``, ``key``, ``id`` ...) names them,
    where its values differ, else their number.

    Raises:
        ValueError: neither is there, or pyarrow is not installed.
    """
    parquet = _pyarrow_parquet()
    info = store.info(path)
    with store.open(path) as stream:
        try:
            table = parquet.ParquetFile(stream)
        except ValueError as error:  # pyarrow's ArrowInvalid is one
            raise ValueError(f"{name} is no Parquet file: {error}") from None
        columns = _columns(table.schema_arrow)
        bytes_column = _first(columns, _bytes_columns(columns), _IMAGES)
        path_column = None if bytes_column else _first(columns, [c for c in columns if columns[c] == "text"], _PATHS)
        if not (bytes_column or path_column):
            raise ValueError(
                f"{name} has no column of images: expected bytes in one of {', '.join(_IMAGES)}, or paths in one of "
                f"{', '.join(_PATHS)}, got {', '.join(columns)}"
            )
        own = f"{bytes_column.rpartition('.')[0]}.path" if bytes_column and "." in bytes_column else None
        possible = [c for c in (own, *_NAMES) if c and c in columns and not path_column]
        named = next((c for c in possible if _tells_apart(table, c)), None)
        folder, address = name.rpartition(".")[0], store.full_path(path)
        number = 0
        for group in range(table.num_row_groups):
            wanted = list(dict.fromkeys(c for c in (named, path_column) if c))
            rows = _values(table, group, wanted)
            for row in range(table.metadata.row_group(group).num_rows):
                called = rows[named][row] if named else None
                if path_column:
                    yield _image_at(store, path, str(rows[path_column][row]), folder)
                else:
                    own_name = f"{called}" if called not in (None, "") else f"{number:08d}"
                    refused = unsafe_name(own_name) or unsafe_name(f"{folder}/{own_name}")
                    yield SourceImage(
                        f"{folder}/{own_name}",
                        address,
                        version=version_of(info),
                        row=(group, row),
                        column=bytes_column,
                        refused=refused,
                    )
                number += 1


class RowReader:
    """Bytes of single rows; the row group of the last one is kept, since rows are asked for in order.

    Args:
        address: of the file and its version, by which the caller knows whether this reader is the right one.
    """

    def __init__(self, address: tuple[str, str], stream: Any, column: str) -> None:
        self.address = address
        self._table = _pyarrow_parquet().ParquetFile(stream)
        self._column = column
        self._group = -1
        self._values: Any = ()

    def read(self, group: int, row: int) -> bytes:
        """The image's bytes.

        Raises:
            PhotoError: the row is empty.
        """
        if group != self._group:
            self._values, self._group = (), group
            column = self._table.read_row_group(group, columns=[self._column]).column(self._column.partition(".")[0])
            self._values = column
        value = self._values[row].as_py()
        if isinstance(value, dict):
            value = value[self._column.partition(".")[2]]
        if value is None:
            raise PhotoError("its row in the table is empty")
        return bytes(value)


def _pyarrow_parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise ValueError("Parquet needs pyarrow: pip install 'repvit-sam[annotate]'") from None
    return pyarrow.parquet


def _columns(schema: Any) -> dict[str, str]:
    """Names of columns, "outer.inner" within a struct -> "bytes", "text" or "other"."""
    import pyarrow.types as types

    def kind(of: Any) -> str:
        if types.is_binary(of) or types.is_large_binary(of):
            return "bytes"
        return "text" if types.is_string(of) or types.is_large_string(of) else "other"

    found: dict[str, str] = {}
    for field in schema:
        if types.is_struct(field.type):
            found |= {f"{field.name}.{inner.name}": kind(inner.type) for inner in field.type}
        else:
            found[field.name] = kind(field.type)
    return found


def _bytes_columns(columns: dict[str, str]) -> list[str]:
    return [name for name, kind in columns.items() if kind == "bytes"]


def _first(columns: dict[str, str], having: list[str], wanted: tuple[str, ...]) -> str | None:
    """The first of the wanted columns, or the only one that there is of its kind."""
    for name in wanted:
        found = next((c for c in having if c == name or c == f"{name}.bytes"), None)
        if found:
            return found
    return having[0] if len(having) == 1 and columns[having[0]] == "bytes" else None


def _tells_apart(table: Any, column: str) -> bool:
    """Whether no value but nothing is there twice."""
    seen: set[str] = set()
    for group in range(table.num_row_groups):
        named = [str(value) for value in _values(table, group, [column])[column] if value not in (None, "")]
        before = len(seen)
        seen.update(named)
        if len(seen) != before + len(named):
            return False
    return True


def _values(table: Any, group: int, columns: list[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name in columns:
        outer, _, inner = name.partition(".")
        values = table.read_row_group(group, columns=[name]).column(outer).to_pylist()
        found[name] = [value[inner] if isinstance(value, dict) else value for value in values] if inner else values
    return found


def _image_at(store: Store, table_path: str, path: str, folder: str) -> SourceImage:
    """The image at a path relative to its table's folder."""
    name = f"{folder}/{path}"
    refused = unsafe_name(path) or unsafe_name(name)
    if refused:
        return SourceImage(name, path, refused=refused)
    place = f"{table_path.rpartition('/')[0]}/{path}"
    try:
        info = store.info(place)
    except OSError as error:
        return SourceImage(name, store.full_path(place), refused=why_refused(error, f"{place} does not exist"))
    if not path.lower().endswith(SUFFIXES):
        return SourceImage(name, store.full_path(place), refused="it is no picture by its name")
    return SourceImage(name, store.full_path(place), info["size"], version_of(info))
