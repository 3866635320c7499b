"""Chooses and checks the device to compute on."""

from __future__ import annotations

import torch

_DEVICES = ("cpu", "cuda", "mps", "xpu")


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """A device that is there.

    Args:
        device: "auto" takes CUDA, then Apple's MPS, then the CPU; else a device as torch names it.

    Raises:
        ValueError: the device is unknown, or not available on this machine.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        if chosen.type not in _DEVICES:
            raise RuntimeError(f"known are {', '.join(_DEVICES)}")
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {str(device)!r} is not available here ({reason}); try 'auto' or 'cpu'") from None
    return chosen
