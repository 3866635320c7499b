"""Many visitors of the page clicking at once: who waits how long, who is refused, what the server's memory does.

    repvit-sam demo --port 7860 &
    python benchmarks/visitors.py --url http://127.0.0.1:7860 --visitors 20 --clicks 10

Each visitor opens a photo of their own and clicks as soon as the last answer is there. Meant for a server on the same
machine; memory is read where there is a /proc.
"""

from __future__ import annotations

import json
import random
import statistics
import threading
import time
import urllib.request
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from repvit_sam.console import report_errors
from repvit_sam.example_photos import EXAMPLE_PHOTOS, example_photo

_PHOTOS = [example_photo(name) for name in EXAMPLE_PHOTOS]


class Page:
    """The server functions of a running page, as its script calls them."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        with urllib.request.urlopen(f"{self._url}/config", timeout=30) as answer:
            components = json.load(answer)["components"]
        self._component = next(c["id"] for c in components if c["props"].get("elem_id") == "repvit-sam")

    def ask(self, function: str, **message: Any) -> dict[str, Any]:
        body = {"data": message, "component_id": self._component, "fn_name": function, "session_hash": uuid4().hex}
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
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)


def visit(page: Page, photo: Path, clicks: int, chance: random.Random, times: list[float], failures: list[str]) -> None:
    """One visitor; appends seconds a click, and what went wrong."""
    try:
        opened = page.open(photo)
        for _ in range(clicks):
            point = [chance.uniform(0, opened["width"]), chance.uniform(0, opened["height"]), 1]
            started = time.perf_counter()
            answer = page.ask("predict", photo=opened["photo"], checkpoint="default", chain=[{"points": [point]}])
            times.append(time.perf_counter() - started)
            if len(answer.get("candidates", [])) != 3:
                failures.append(str(answer)[:200])
    except Exception as error:
        failures.append(f"{type(error).__name__}: {error}")


def resident_mb(pid: int | None) -> float | None:
    """Memory of a process in MB, where there is a /proc."""
    status = Path(f"/proc/{pid}/status")
    if pid is None or not status.exists():
        return None
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmRSS"))


def main(
    url: Annotated[str, typer.Option(help="a running page")] = "http://127.0.0.1:7860",
    visitors: int = 20,
    clicks: Annotated[int, typer.Option(help="of each visitor")] = 10,
    rounds: Annotated[int, typer.Option(help="the same again: memory must not grow with them")] = 2,
    pid: Annotated[int | None, typer.Option(help="of the server, for its memory")] = None,
) -> None:
    """Median, slowest, failures, memory."""
    with report_errors():
        page = Page(url)
        for count in range(1, rounds + 1):
            times: list[float] = []
            failures: list[str] = []
            before, started = resident_mb(pid), time.perf_counter()
            threads = [
                threading.Thread(
                    target=visit,
                    args=(page, _PHOTOS[n % len(_PHOTOS)], clicks, random.Random(n), times, failures),
                )
                for n in range(visitors)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            memory = "" if before is None else f", server {before:.0f} -> {resident_mb(pid):.0f} MB"
            typer.echo(
                f"round {count}: {visitors} visitors x {clicks} clicks in {time.perf_counter() - started:.1f} s, "
                f"a click {statistics.median(times) * 1000:.0f} ms (slowest {max(times) * 1000:.0f}), "
                f"{len(failures)} failures{memory}"
            )
            for failure in failures[:5]:
                typer.echo(failure, err=True)


if __name__ == "__main__":
    typer.run(main)
