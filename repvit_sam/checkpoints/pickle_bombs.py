"""A pickle's size when everything in it that is used twice is written out: counted without building any of it.

A few hundred bytes can name a tuple of tuples of tuples ... that takes no memory, and years to hash or compare. What
``torch.save`` writes is as large written out as it is in the file, more or less.
"""

from __future__ import annotations

import pickletools
from mmap import mmap
from typing import IO, cast

MOST_PARTS = 20_000_000  # a checkpoint of a thousand tensors has some tens of thousands


class PickleBombError(ValueError):
    """A pickle that is too large when it is written out, or whose stack is not one that Python makes."""


def check_pickle(stream: IO[bytes] | mmap) -> None:
    """Go through one pickle, up to its end.

    Raises:
        PickleBombError: it has more than ``MOST_PARTS`` parts.
        Exception: whatever pickletools raises for bytes that are no pickle.
    """
    stack: list[int] = []  # how many parts each value on the pickle machine's stack has
    marks: list[int] = []  # heights of the stack
    memo: dict[int, int] = {}
    for opcode, given, _ in pickletools.genops(cast(IO[bytes], stream)):
        name = opcode.name
        argument = given if isinstance(given, int) else 0
        if name == "MARK":
            marks.append(len(stack))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            taken = len(opcode.stack_before)
            parts = 1
            if pickletools.markobject in opcode.stack_before:  # everything above the mark, and what stands below it
                height = marks.pop()
                parts += sum(stack[height:])
                del stack[height:]
                taken = opcode.stack_before.index(pickletools.markobject)
            if taken:
                parts += sum(stack[-taken:])
                del stack[-taken:]
            stack.extend([parts] * len(opcode.stack_after))
        if stack and stack[-1] > MOST_PARTS:
            raise PickleBombError(f"more than {MOST_PARTS:,} parts when it is written out")
