"""Work done ahead by threads, in order: the one queue between the disk and a training step.

Why not torch's ``DataLoader``: it reads ahead in processes only. They send canvases through /dev/shm, of which a
container has 64 MiB; Ctrl-C ends them before the run is saved; and each needs a copy of all annotations. Pillow and
OpenCV release the GIL, so threads decode as fast. What it would be chosen for, a sampler, is sampler.py here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_threads(work: Callable[[Given], Made], inputs: Iterable[Given], workers: int, ahead: int) -> Iterator[Made]:
    """``map(work, inputs)``, computed by threads at least ``ahead`` inputs before the result is needed.

    An error is raised where its result would have come. Without workers nothing is computed ahead.
    """
    if not workers:
        yield from map(work, inputs)
        return
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for given in inputs:
            waiting.append(pool.submit(work, given))
            if len(waiting) > max(2 * workers, ahead):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
