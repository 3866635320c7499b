"""Parquet, one file a shard, one row an image, its masks as a list: docs/annotating.md has the schema."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ..image_masks import ImageMasks, MaskRecord
from .form import ShardWriter, compact_name, reading


class ParquetForm:
    """Tables for pandas, pyarrow, DuckDB, Spark.

    Raises:
        ValueError: pyarrow is not installed.
    """

    look_at: ClassVar[str] = "masks-*.parquet"

    def __init__(self) -> None:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise ValueError("--format parquet needs pyarrow: pip install 'repvit-sam[annotate]'") from None

    def writer(self, folder: Path, shard: int) -> ShardWriter:
        """See ``Form``."""
        return _Table(folder / _file_name(shard))

    def own_files(self, stem: str) -> tuple[str, ...]:
        """None."""
        return ()

    def shard_files(self, shard: int) -> tuple[str, ...]:
        """The shard's table."""
        return (_file_name(shard),)

    def finish(self, out: Path, shards: int, categories: Mapping[int, str]) -> None:
        """Nothing is put together."""

    def tidy(self, out: Path, shards: int) -> None:
        """Nothing is left over."""

    def take_apart(self, out: Path, shards: Iterable[tuple[int, Collection[int]]]) -> None:
        """Nothing was put together."""

    def read(self, out: Path) -> Iterator[ImageMasks]:
        """See ``Form``."""
        import pyarrow.parquet

        for path in sorted(out.glob("masks-*.parquet")):
            with reading(path), pyarrow.parquet.ParquetFile(path) as table:
                for batch in table.iter_batches(batch_size=64):
                    for row in batch.to_pylist():
                        size = (row["height"], row["width"])
                        masks = tuple(_mask(mask, size) for mask in row["masks"])
                        yield ImageMasks(row["image_id"], row["file_name"], row["stem"], size, masks)


def _file_name(shard: int) -> str:
    return f"masks-{compact_name(shard)}.parquet"


class _Table:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []

    def add(self, image: ImageMasks) -> None:
        height, width = image.photo_hw
        self._rows.append(
            {
                "image_id": image.image_id,
                "file_name": image.name,
                "stem": image.stem,
                "height": height,
                "width": width,
                "masks": [_row(mask) for mask in image.masks],
            }
        )

    def close(self) -> None:
        import pyarrow
        import pyarrow.parquet

        if self._rows:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            table = pyarrow.Table.from_pylist(self._rows, schema=_schema())
            pyarrow.parquet.write_table(table, self._path, compression="zstd")


def _schema() -> Any:
    import pyarrow

    mask = pyarrow.struct(
        {
            "counts": pyarrow.string(),  # COCO's compressed RLE, of the image's height and width
            "area": pyarrow.int64(),
            "bbox_xywh": pyarrow.list_(pyarrow.int32()),
            "predicted_iou": pyarrow.float64(),
            "stability_score": pyarrow.float64(),
            "category_id": pyarrow.int64(),
            "score": pyarrow.float64(),
            "point_coords": pyarrow.list_(pyarrow.list_(pyarrow.float64())),
            "point_labels": pyarrow.list_(pyarrow.int8()),
            "prompt_box_xyxy": pyarrow.list_(pyarrow.float64()),
        }
    )
    whole, text = pyarrow.int64(), pyarrow.string()
    columns = {"image_id": whole, "file_name": text, "stem": text, "height": pyarrow.int32(), "width": pyarrow.int32()}
    return pyarrow.schema({**columns, "masks": pyarrow.list_(mask)})


def _row(mask: MaskRecord) -> dict[str, Any]:
    found = mask.to_json()
    return {**found, "counts": mask.rle["counts"], "bbox_xywh": found["bbox"]}


def _mask(row: dict[str, Any], photo_hw: tuple[int, int]) -> MaskRecord:
    known = {key: value for key, value in row.items() if value is not None}
    rle = {"size": list(photo_hw), "counts": row["counts"]}
    return MaskRecord.from_json({**known, "segmentation": rle, "bbox": row["bbox_xywh"]})
