"""Export RepViT as a classifier, to time it: in Xcode's performance report, or with onnxruntime_perf_test.

The published milliseconds are of such a file (THU-MIG/RepViT, export_coreml.py): a picture of 224 pixels in, logits
out, batch norms and branches folded. The weights are fresh, since they do not change the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from ..canvas import MAX_CANVAS_SIZE
from ..errors import ExportError
from ..example_photos import example_photo
from ..modeling.backbone import BACKBONE_MULTIPLE, BACKBONES, build_backbone, fuse_children, randomise_norms
from ..photo import Photo, read_photo
from .config import Log
from .coreml import CoreMLExporter, convert_network, float_type
from .coreml import set_metadata as set_coreml_metadata
from .coreml_runtime.model import CoreMLBackbone
from .libraries import import_coremltools, import_onnx
from .metadata import MANIFEST, ExportMetadata, write_manifest
from .onnx import OnnxExporter, write_network
from .onnx import set_metadata as set_onnx_metadata
from .pipeline import check_out
from .quantize import to_fp16
from .signatures import backbone_signature
from .staging import StagingFolder
from .verify import TOLERANCES

BACKBONE_SIDE = 224  # pixels, the paper's own
PRECISIONS = ("fp16", "fp32")
_SUFFIXES = {exporter.runtime: exporter.suffix for exporter in (CoreMLExporter, OnnxExporter)}
_SEED, _CLASSES = 0, 1000


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """What to export.

    Attributes:
        variant: a key of ``BACKBONES``.
        out: the folder to write into.
        runtime: "coreml" or "onnx".
        precision: "fp16" or "fp32".
        side: of the picture in pixels, a multiple of 32.
        force: overwrite existing files.

    Raises:
        ValueError: a setting that cannot be used.
    """

    variant: str
    out: Path
    runtime: str
    precision: str
    side: int = BACKBONE_SIDE
    force: bool = False

    def __post_init__(self) -> None:
        for name, known in (("variant", tuple(BACKBONES)), ("runtime", tuple(_SUFFIXES)), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.side % BACKBONE_MULTIPLE or not 0 < self.side <= MAX_CANVAS_SIZE:
            raise ValueError(
                f"canvas must be a multiple of {BACKBONE_MULTIPLE} up to {MAX_CANVAS_SIZE} for a backbone, "
                f"got {self.side}"
            )


def export_backbone(config: BackboneConfig, log: Log = lambda line: None) -> list[Path]:
    """Write backbone.mlpackage or backbone.onnx, and manifest.json.

    Args:
        log: called with a line of text at every step.

    Returns:
        The files written.

    Raises:
        ExportError: files exist already, a library is missing, or the file differs too much from PyTorch.
    """
    name = f"backbone{_SUFFIXES[config.runtime]}"
    check_out(config.out, [name], config.force)
    import_coremltools() if config.runtime == "coreml" else import_onnx()
    network, metadata = _fused_network(config.variant), _metadata(config, name)
    with StagingFolder(config.out) as staging:
        path = staging.path / name
        log(f"converting {config.variant}")
        write = _write_coreml if config.runtime == "coreml" else _write_onnx
        write(network, path, metadata)
        log("comparing it with PyTorch")
        difference = _difference(network, path, config)
        log(f"{name} differs by {difference:.1e} of the largest logit")
        _check(name, difference, config.precision)
        entry = metadata.as_manifest_entry({"difference": difference})
        write_manifest(staging.path / MANIFEST, {name: entry}, earlier=config.out / MANIFEST)
        return staging.publish([name, MANIFEST])


def _fused_network(variant: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network = build_backbone(variant, _CLASSES).eval()
    randomise_norms(network, _SEED)
    fuse_children(network)
    return network.requires_grad_(False)


def _metadata(config: BackboneConfig, name: str) -> ExportMetadata:
    signature = backbone_signature(config.side, _CLASSES)
    return ExportMetadata(
        file=name,
        part="backbone",
        runtime=config.runtime,
        variant=config.variant,
        canvas=config.side,
        precision=config.precision,
        checkpoint="none: fresh weights",
        checkpoint_sha256="",
        encoder_fingerprint="",
        inputs=signature.inputs,
        outputs=signature.outputs,
    )


def _write_coreml(network: nn.Module, path: Path, metadata: ExportMetadata) -> None:
    ct, shape = import_coremltools(), (1, 3, metadata.canvas, metadata.canvas)
    inputs = [ct.ImageType("image", shape=shape, color_layout=ct.colorlayout.RGB)]
    outputs = {"logits": float_type(metadata.precision)}
    package = convert_network(network, (torch.zeros(shape),), inputs, outputs, metadata.precision)
    set_coreml_metadata(package, metadata)
    package.save(str(path))


def _write_onnx(network: nn.Module, path: Path, metadata: ExportMetadata) -> None:
    example = torch.zeros(1, 3, metadata.canvas, metadata.canvas)
    fp32 = path.with_name(f"fp32.{path.name}")
    write_network(network, (example,), fp32, ["image"], ["logits"], {})
    if metadata.precision == "fp16":
        to_fp16(fp32, path)
    else:
        fp32.replace(path)
    set_onnx_metadata(path, metadata)


def _difference(network: nn.Module, path: Path, config: BackboneConfig) -> float:
    """Largest difference from PyTorch's logits of the example photograph, divided by the largest of them."""
    photo = Image.fromarray(read_photo(example_photo("coffee"))).resize((config.side, config.side))
    picture: Photo = np.array(photo)
    pixels = picture.transpose(2, 0, 1)[None].astype(np.float32)  # (S, S, 3) -> (1, 3, S, S)
    with torch.no_grad():
        own: NDArray[Any] = network(torch.from_numpy(pixels)).numpy()
    if config.runtime == "coreml":
        found = CoreMLBackbone(path).classify(picture)
    else:
        from ..backends.onnx_session import open_session

        found = open_session(path).run(["logits"], {"image": pixels})[0]
    return float(np.abs(found.astype(np.float64) - own).max() / np.abs(own).max())


def _check(name: str, difference: float, precision: str) -> None:
    allowed = TOLERANCES[precision][0]
    assert allowed is not None
    if not difference <= allowed:  # NaN is not either
        raise ExportError(
            f"{name} differs by {difference:.1e} of the largest logit, which is too far for {precision}; "
            "nothing was written"
        )
