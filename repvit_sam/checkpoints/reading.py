"""File -> checked weights -> model. Pickles are read as data only; code in them is refused and never run."""

from __future__ import annotations

import io
import mmap
import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from ..canvas import CANVAS_SIZE, check_canvas_size
from ..errors import CheckpointError
from .key_mapping import Layout, State, backbone_to_own, detect_layout, detect_variant, to_own
from .pickle_bombs import PickleBombError, check_pickle

_LEGACY_PICKLES = 5
_WRAPPERS = ("model", "state_dict", "model_state_dict")  # keys under which training scripts put the state dict


@dataclass(frozen=True)
class Checkpoint:
    """Weights in ``Layout.OWN``, and facts about the file they were read from.

    Attributes:
        path: the file.
        layout: its key layout.
        variant: of the network, such as "repvit_m2_3".
        canvas_size: side of the canvas in pixels that the weights were trained for.
        provenance: where the weights come from, recipe, licence: text by key.
        state: name -> tensor, as stored (fp16 stays fp16).
    """

    path: Path
    layout: Layout
    variant: str
    canvas_size: int = CANVAS_SIZE
    provenance: Mapping[str, str] = field(default_factory=dict)
    state: State = field(default_factory=dict, repr=False)

    @property
    def encoder_alone(self) -> bool:
        """Whether SAM's prompt encoder and mask decoder are missing."""
        return not any(key.startswith("mask_decoder.") for key in self.state)

    def with_decoder_of(self, other: Checkpoint) -> Checkpoint:
        """This encoder with prompt encoder and mask decoder of another checkpoint, noted in the provenance."""
        if other.encoder_alone:
            raise CheckpointError(f"{other.path} holds an image encoder without a decoder; name another checkpoint")
        encoder = {key: value for key, value in self.state.items() if key.startswith("image_encoder.")}
        rest = {key: value for key, value in other.state.items() if not key.startswith("image_encoder.")}
        origin = other.provenance.get("name", other.path.name)
        return replace(self, state=encoder | rest, provenance={**self.provenance, "decoder": f"that of {origin}"})

    def without_weights(self) -> Checkpoint:
        """The facts without the weights."""
        return replace(self, state={})


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint in any known key layout.

    Args:
        path: a safetensors file, or a PyTorch file (zip or legacy pickle) of plain tensors.

    Raises:
        CheckpointError: the file is missing, empty, cut off, no checkpoint, carries code, or its key layout or variant
            is unknown.
    """
    path = Path(path)
    state, metadata = _read_state(path)
    layout = detect_layout(state)
    if layout is None:
        some = ", ".join(list(state)[:3])
        raise CheckpointError(f"{path} holds tensors in an unknown key layout (its first keys: {some})")
    try:
        state = to_own(state, layout)
    except CheckpointError as error:
        raise CheckpointError(f"{path} has the key layout {layout.value}, but {error}") from None
    variant = detect_variant(state)
    if variant is None:
        raise CheckpointError(f"{path} has the key layout {layout.value}, but its image encoder has an unknown size")
    if metadata.get("variant", variant) != variant:
        raise CheckpointError(f"{path} says it is {metadata['variant']}, but its tensors are those of {variant}")
    return Checkpoint(
        path=path,
        layout=layout,
        variant=variant,
        canvas_size=_canvas_size(metadata, path),
        provenance={k: v for k, v in metadata.items() if k not in ("format", "layout", "variant", "canvas")},
        state=state,
    )


def load_backbone(body: nn.Module, variant: str, path: str | os.PathLike[str]) -> None:
    """Copy the weights of an ImageNet classifier into the body of an image encoder; its heads are left out.

    Args:
        body: of ``variant``, unfused.
        path: a safetensors file or a PyTorch file of plain tensors, with timm's names or its authors'.

    Raises:
        CheckpointError: the file cannot be read, is no RepViT classifier, holds another variant, or is fused.
    """
    path, prefix = Path(path), "image_encoder.body."
    state, _ = _read_state(path)
    try:
        own = backbone_to_own(state)
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot start an image encoder: {error}") from None
    found = detect_variant(own)
    if found != variant:
        raise CheckpointError(f"{path} holds {found or 'a RepViT of unknown size'}, not {variant}; build that variant")
    _copy(body, {key.removeprefix(prefix): value for key, value in own.items()}, path, variant)


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Copy the weights into a model of the same variant; every key and shape must fit.

    Raises:
        CheckpointError: names the keys that are missing, unexpected, or of another shape.
    """
    if checkpoint.encoder_alone:
        raise CheckpointError(
            f"{checkpoint.path} holds an image encoder without a decoder; add SAM's first: "
            f"repvit-sam weights convert {checkpoint.path} OUT.safetensors"
        )
    _copy(model, checkpoint.state, checkpoint.path, checkpoint.variant)


def _copy(network: nn.Module, state: State, path: Path, variant: str) -> None:
    state = dict(state)
    expected = network.state_dict()
    # the batch norms' step counters, which exports and conversions leave out, are not needed
    state |= {k: v for k, v in expected.items() if k.endswith(".num_batches_tracked") and k not in state}
    problems = [
        *_some("missing", [k for k in expected if k not in state]),
        *_some("unexpected", [k for k in state if k not in expected]),
        *_some(
            "of another shape",
            [
                f"{k} {tuple(state[k].shape)} instead of {tuple(v.shape)}"
                for k, v in expected.items()
                if k in state and state[k].shape != v.shape
            ],
        ),
    ]
    if problems:
        raise CheckpointError(f"{path} does not fit {variant}: {'; '.join(problems)}")
    # fp16 saves space in the file; computation is in float32
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})


def _some(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [f"{what}: {', '.join(names[:3])}{more}"]


def _canvas_size(metadata: Mapping[str, str], path: Path) -> int:
    text = metadata.get("canvas", str(CANVAS_SIZE))
    try:
        check_canvas_size(int(text))
    except ValueError as error:
        raise CheckpointError(f"{path} was made for a canvas of {text!r}: {error}") from None
    return int(text)


def _read_state(path: Path) -> tuple[State, dict[str, str]]:
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder, expected a checkpoint file")
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    if not head:
        raise CheckpointError(f"{path} is empty")
    if head[8:9] == b"{":  # safetensors: eight bytes with the length of the header, then the header in JSON
        return _read_safetensors(path)
    if head[:2] == b"PK" or head[:1] == b"\x80":  # PyTorch's zip, and the pickle of older versions
        return _read_pytorch(path), {}
    kind = "a text or web page" if _is_text(head) else "some other kind of file"
    raise CheckpointError(f"{path} is no checkpoint but {kind}; expected safetensors or a PyTorch file of tensors")


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)


def _read_safetensors(path: Path) -> tuple[State, dict[str, str]]:
    try:
        with safe_open(str(path), framework="pt") as stream:
            metadata = dict(stream.metadata() or {})
            return {key: stream.get_tensor(key) for key in stream.keys()}, metadata  # noqa: SIM118 (no iterator)
    except MemoryError:
        raise
    except Exception as error:  # SafetensorError, OSError, and TypeError for numbers that torch does not have
        raise CheckpointError(f"{path} is a damaged or cut-off safetensors file ({error})") from None


def _read_pytorch(path: Path) -> State:
    _check_pytorch(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; what cannot be read raises an error
            content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError, KeyError, ...
        # torch's message advises weights_only=False, which would run the code
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named or "Unsupported operand" in str(error):  # the latter: a pickle that torch.save did not write
            what = f" ({named.group(1)})" if named else ""
            raise CheckpointError(
                f"{path} carries Python objects{what} instead of plain tensors and is not read, since "
                "opening it could run their code; ask its author for a state dict or a safetensors file"
            ) from None
        raise CheckpointError(f"{path} is a damaged or cut-off PyTorch file ({type(error).__name__})") from None
    return _plain_state(content, path)


def _check_pytorch(path: Path) -> None:
    """Before torch opens it: no program, nothing that grows when it is unpacked, no pickle that is a bomb.

    Raises:
        CheckpointError: one of these, or damaged.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(2) == b"PK":
                _check_zip(path)
            else:  # older versions wrote pickles one after the other; of numbers, system, content, and names of tensors
                with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    for _ in range(_LEGACY_PICKLES):
                        if content.tell() < len(content):
                            check_pickle(content)
    except CheckpointError:
        raise
    except PickleBombError as error:
        raise CheckpointError(f"{path} is no checkpoint: its pickle has {error}") from None
    except Exception as error:  # zipfile raises BadZipFile, NotImplementedError, ..., pickletools ValueError, ...
        reason = type(error).__name__
        raise CheckpointError(f"{path} is a damaged or cut-off PyTorch file ({reason})") from None


def _check_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.filename.endswith("/constants.pkl") for member in members):
            # older versions of torch would load it, and so run it
            raise CheckpointError(f"{path} is a TorchScript program, expected a state dict of tensors")
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
        if packed or sum(member.file_size for member in members) > path.stat().st_size:
            raise CheckpointError(
                f"{path} is a zip whose content is larger than the file; torch.save does not write such files"
            )
        for member in members:
            if member.filename.endswith(".pkl"):
                check_pickle(io.BytesIO(archive.read(member)))


def _plain_state(content: Any, path: Path) -> State:
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path} holds {type(content).__name__}, expected a state dict of tensors")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: entry {key!r} is {type(value).__name__}, expected a tensor")
        if not _is_stored(value):
            raise CheckpointError(f"{path}: entry {key!r} has shape {tuple(value.shape)}, of which less is stored")
    return {key.removeprefix("module."): value for key, value in content.items()}  # DDP's prefix


def _is_stored(tensor: Tensor) -> bool:
    """Whether each of its numbers is in the file: one number can stand for any shape, which a copy would write out."""
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
