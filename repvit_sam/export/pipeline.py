"""The steps of an export: convert, save in a staging folder, compare with PyTorch, write the manifest, publish."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar, Protocol

from ..embedding import encoder_fingerprint
from ..errors import ExportError
from ..files import sha256_of
from ..loading import load
from ..modeling.image_encoder import TIMM_ENCODERS
from ..modeling.sam import SamModel
from .config import ExportConfig, Log
from .metadata import MANIFEST, ExportMetadata, read_manifest, write_manifest
from .signatures import Signature
from .staging import StagingFolder
from .traceable import prepare
from .verify import Comparison, PyTorchReference


class Exporter(Protocol):
    """What differs between Core ML and ONNX. A part is "encoder" or "decoder"."""

    runtime: ClassVar[str]
    suffix: ClassVar[str]
    max_canvas: ClassVar[int]

    def precision_of(self, part: str) -> str:
        """The precision in which a part is written."""

    def signature(self, part: str, canvas: int) -> Signature:
        """Inputs and outputs of a part."""

    def write(self, model: SamModel, path: Path, metadata: ExportMetadata) -> None:
        """Convert the part that the metadata describe, and save it with them at ``path``."""

    def compare(self, reference: PyTorchReference, part: str, path: Path) -> Comparison:
        """Run the saved file and compare it with PyTorch."""


def run_export(config: ExportConfig, exporter: Exporter, log: Log) -> list[Path]:
    """Export the parts that ``config`` asks for.

    Returns:
        The files written; manifest.json is the last.

    Raises:
        ExportError: files exist already, the variant cannot be exported, or a file differs too much from PyTorch.
        CheckpointError, ValueError: the checkpoint or the canvas size cannot be used.
    """
    names = {part: f"{part}{exporter.suffix}" for part in config.parts}
    if config.canvas is not None:  # the checkpoint's own is checked once it is read
        _check_canvas(config.canvas, exporter)
    check_out(config.out, names.values(), config.force)
    log(f"reading {config.checkpoint}")
    model = _load(config, exporter)
    traceable, reference = prepare(model), PyTorchReference(model)
    entries = {}
    with StagingFolder(config.out) as staging:
        for part, name in names.items():
            metadata = _metadata(model, part, name, exporter)
            log(f"converting the {part}")
            exporter.write(traceable, staging.path / name, metadata)
            log(f"comparing the {part} with PyTorch")
            comparison = exporter.compare(reference, part, staging.path / name)
            comparison.check(name, metadata.precision)
            log(f"{name} {comparison}")
            entries[name] = metadata.as_manifest_entry(asdict(comparison))
        write_manifest(staging.path / MANIFEST, entries, earlier=config.out / MANIFEST)
        return staging.publish([*names.values(), MANIFEST])


def _check_canvas(canvas: int, exporter: Exporter) -> None:
    if canvas > exporter.max_canvas:
        raise ValueError(f"canvas must be at most {exporter.max_canvas} for {exporter.runtime}, got {canvas}")


def check_out(out: Path, names: Iterable[str], force: bool) -> None:
    """Raise ExportError where files of these names would be overwritten, or ``out`` is no folder of exports."""
    existing = [str(out / name) for name in names if (out / name).exists()]
    if existing and not force:
        raise ExportError(f"{' and '.join(existing)} exist{'s' * (len(existing) == 1)}; --force overwrites")
    if out.exists() and not out.is_dir():
        raise ExportError(f"{out} is a file; --out takes a folder")
    if (out / MANIFEST).exists():
        read_manifest(out / MANIFEST)  # raises where it is damaged, before the work


def _load(config: ExportConfig, exporter: Exporter) -> SamModel:
    model = load(config.checkpoint, device="cpu", canvas=config.canvas)
    if model.variant not in TIMM_ENCODERS:
        raise ExportError(f"{model.variant} cannot be exported; these can: {', '.join(TIMM_ENCODERS)}")
    _check_canvas(model.canvas_size, exporter)
    return model


def _metadata(model: SamModel, part: str, name: str, exporter: Exporter) -> ExportMetadata:
    assert model.checkpoint is not None
    signature = exporter.signature(part, model.canvas_size)
    return ExportMetadata(
        file=name,
        part=part,
        runtime=exporter.runtime,
        variant=model.variant,
        canvas=model.canvas_size,
        precision=exporter.precision_of(part),
        checkpoint=model.checkpoint.path.name,
        checkpoint_sha256=sha256_of(model.checkpoint.path),
        encoder_fingerprint=encoder_fingerprint(model.image_encoder),
        inputs=signature.inputs,
        outputs=signature.outputs,
        single_mask=signature.single_mask,
        prompt_slots=signature.prompt_slots,
    )
