"""Many visitors clicking on the page at once: latency of a click, failed requests, memory of the server.

    repvit-sam demo --port 7860 &
    python benchmarks/visitors.py --url http://127.0.0.1:7860 --visitors 20 --clicks 10

Each visitor opens a photo of their own and clicks again as soon as a mask is there. Run it on the server's machine;
memory is read where there is a /proc.
"""

from __future__ import annotations

import json
import random
import statistics
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from repvit_sam.console import report_errors
from repvit_sam.example_photos import EXAMPLE_PHOTOS, example_photo


@dataclass
class Round:
    """What the visitors of one round measured; their threads append to it."""

    click_seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Page:
    """The server functions of a running page, as its script calls them."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        with urllib.request.urlopen(f"{self._url}/config", timeout=30) as response:
            components = json.load(response)["components"]
        self._component = next(c["id"] for c in components if c["props"].get("elem_id") == "repvit-sam")

    def call(self, function: str, **request: Any) -> dict[str, Any]:
        body = {"data": request, "component_id": self._component, "fn_name": function, "session_hash": uuid4().hex}
        return self._post(json.dumps(body).encode(), "application/json")

    def open(self, photo: Path) -> dict[str, Any]:
        fields = {"component_id": str(self._component), "fn_name": "open", "session_hash": "x", "ticket": uuid4().hex}
        boundary = uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{photo.name}"\r\n\r\n'
        body = b"".join([*parts, head.encode(), photo.read_bytes(), f"\r\n--{boundary}--\r\n".encode()])
        return self._post(body, f"multipart/form-data; boundary={boundary}")

    def _post(self, body: bytes, content_type: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self._url}/gradio_api/component_server/", body, {"Content-Type": content_type}
        )
        with urllib.request.urlopen(request, timeout=300) as response:
            return json.load(response)


def visit(page: Page, photo: Path, clicks: int, chance: random.Random, measured: Round) -> None:
    """One visitor: opens a photo and clicks at random places."""
    try:
        opened = page.open(photo)
        for _ in range(clicks):
            point = [chance.uniform(0, opened["width"]), chance.uniform(0, opened["height"]), 1]
            started = time.perf_counter()
            answer = page.call("predict", photo=opened["photo"], checkpoint="default", chain=[{"points": [point]}])
            measured.click_seconds.append(time.perf_counter() - started)
            if len(answer.get("candidates", [])) != 3:
                measured.failures.append(str(answer)[:200])
    except Exception as error:
        measured.failures.append(f"{type(error).__name__}: {error}")


def run_round(page: Page, visitors: int, clicks: int) -> Round:
    """All visitors at once, each in a thread."""
    photos, measured = [example_photo(name) for name in EXAMPLE_PHOTOS], Round()
    threads = [
        threading.Thread(target=visit, args=(page, photos[n % len(photos)], clicks, random.Random(n), measured))
        for n in range(visitors)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return measured


def resident_mb(pid: int | None) -> float | None:
    """Memory of a process in MB, where there is a /proc."""
    status = Path(f"/proc/{pid}/status")
    if pid is None or not status.exists():
        return None
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmRSS"))


def main(
    url: Annotated[str, typer.Option(help="a running page")] = "http://127.0.0.1:7860",
    visitors: Annotated[int, typer.Option(help="at once")] = 20,
    clicks: Annotated[int, typer.Option(help="of each visitor")] = 10,
    rounds: Annotated[int, typer.Option(help="the same again: memory must not grow with them")] = 2,
    pid: Annotated[int | None, typer.Option(help="of the server, for its memory")] = None,
) -> None:
    """Median and slowest click, failed requests, memory."""
    with report_errors():
        page = Page(url)
        for number in range(1, rounds + 1):
            before, started = resident_mb(pid), time.perf_counter()
            measured = run_round(page, visitors, clicks)
            seconds, times = time.perf_counter() - started, measured.click_seconds
            memory = "" if before is None else f", server {before:.0f} -> {resident_mb(pid):.0f} MB"
            typer.echo(
                f"round {number}: {visitors} visitors x {clicks} clicks in {seconds:.1f} s, "
                f"a click {statistics.median(times) * 1000:.0f} ms (slowest {max(times) * 1000:.0f}), "
                f"{len(measured.failures)} failures{memory}"
            )
            for failure in measured.failures[:5]:
                typer.echo(failure, err=True)


if __name__ == "__main__":
    typer.run(main)
