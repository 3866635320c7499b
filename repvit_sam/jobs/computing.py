"""What computes, with nothing left to choose, and whether the machines of a run agree on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_NAMED = 3  # machines of each kind that a sentence names


@dataclass(frozen=True)
class Computing:
    """An engine, a type of device ("cpu", "cuda") and a precision; another one rounds differently.

    Attributes:
        precision: "auto" for an export, whose files decide it.
    """

    engine: str
    device: str
    precision: str

    def __str__(self) -> str:
        return f"{self.engine} on {self.device}" + ("" if self.precision == "auto" else f" in {self.precision}")


def agreed_computing(found: Iterable[tuple[str, Computing]]) -> Computing:
    """What all machines would compute with.

    Args:
        found: at least one machine's name, and what it would take.

    Raises:
        ValueError: they differ; the message says which machines have what.
    """
    machines: dict[Computing, list[str]] = {}
    for name, computing in sorted(found, key=lambda one: one[0]):
        machines.setdefault(computing, []).append(name)
    if len(machines) > 1:
        kinds = ", ".join(f"{computing} ({_some(names)})" for computing, names in machines.items())
        raise ValueError(
            f"the machines of the cluster would not compute alike: {kinds}; give --engine, --device and --precision"
        )
    return next(iter(machines))


def _some(names: list[str]) -> str:
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more])
