"""Look for bytes that break a reader, guided by the code that they reach.

    python tests/fuzz/fuzz.py image -runs=100000 -max_len=8192

needs atheris (``pip install atheris``; Linux, and the Python versions that it has wheels for). Further words are
libFuzzer's. An input that takes more than 5 s, more than 2 GB above what the program itself needs, or that leads to
another error than a sentence ends the run and is kept as ``crash-...``. Figures are printed every 10,000 inputs.
"""

from __future__ import annotations

import importlib
import resource
import sys
import tempfile
import time
from pathlib import Path

import atheris

MODULES = {
    "image": ("PIL.Image", "pillow_heif", "repvit_sam.photo", "repvit_sam.photo_bombs"),
    "checkpoint": tuple(f"repvit_sam.checkpoints.{name}" for name in ("pickle_bombs", "reading", "key_mapping")),
}
CORPUS = Path(__file__).parent / "corpus"
SECONDS = 5
MEGABYTES = 2048
EVERY = 10_000  # inputs


def main(target: str, words: list[str]) -> None:
    """Fuzz until the words say so."""
    if target == "checkpoint":  # without what guides the fuzzer, but for the part that reads pickles
        unpickler = importlib.import_module("torch._weights_only_unpickler").Unpickler
        unpickler.load = atheris.instrument_func(unpickler.load)
    with atheris.instrument_imports(include=["PIL", "pillow_heif", "repvit_sam"]):
        for module in MODULES[target]:
            importlib.import_module(module)
        if target == "image":
            importlib.import_module("PIL.Image").init()  # imports the formats
    sys.path.insert(0, str(Path(__file__).parents[2]))
    function = importlib.import_module("tests.fuzz.targets").TARGETS[target]
    for path in (CORPUS / target).iterdir():  # what is loaded when it is first used
        function(path.read_bytes())
    before = _peak_mb()
    figures = {"inputs": 0, "accepted": 0, "slowest": 0.0}

    def one_input(data: bytes) -> None:
        started = time.perf_counter()
        figures["accepted"] += function(data)
        figures["inputs"] += 1
        figures["slowest"] = max(figures["slowest"], time.perf_counter() - started)
        if figures["inputs"] % EVERY == 0:
            print(
                f"{target}: {figures['inputs']:,} inputs, {figures['accepted']:,} of them read; slowest "
                f"{figures['slowest']:.2f} s; most memory {_peak_mb() - before:,} MB above {before:,} MB at the start",
                flush=True,
            )

    limits = [f"-timeout={SECONDS}", f"-rss_limit_mb={before + MEGABYTES}"]
    found = tempfile.mkdtemp()  # new inputs that reach new code; the kept corpus stays as it is
    atheris.Setup([sys.argv[0], *limits, *words, found, str(CORPUS / target)], one_input)
    atheris.Fuzz()


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in MODULES:
        sys.exit("give image or checkpoint, then words for libFuzzer such as -runs=100000")
    main(sys.argv[1], sys.argv[2:])
