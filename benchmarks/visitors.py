"""Many visitors clicking on the page at once: latency of a click, failed requests, memory of the server.

    repvit-sam demo --port 7860 &
    python benchmarks/visitors.py --url http://127.0.0.1:7860 --visitors 20 --clicks 10
    python benchmarks/visitors.py --url http://127.0.0.1:7860 --visitors 50 --minutes 10 --think 3 --slow 5 --pid PID

Each visitor opens a photo and clicks again as soon as a mask is there, or after ``--think`` seconds. With ``--minutes``
visitors come again and again, and each round is a minute. Run it on the server's machine; memory is read where there
is a /proc.
"""

from __future__ import annotations

import json
import random
import socket
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
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

    def call(self, function: str, visitor: str, **request: Any) -> dict[str, Any]:
        body = {**self._called(function, visitor), "data": {"visitor": visitor, **request}}
        return self._post(json.dumps(body).encode(), "application/json")

    def open(self, photo: Path, visitor: str, checkpoint: str) -> dict[str, Any]:
        own = {"ticket": uuid4().hex, "visitor": visitor, "checkpoint": checkpoint}
        fields = {**self._called("open", visitor), **own}
        boundary = uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{photo.name}"\r\n\r\n'
        body = b"".join([*parts, head.encode(), photo.read_bytes(), f"\r\n--{boundary}--\r\n".encode()])
        return self._post(body, f"multipart/form-data; boundary={boundary}")

    def _called(self, function: str, visitor: str) -> dict[str, Any]:
        return {"component_id": self._component, "fn_name": function, "session_hash": visitor}

    def _post(self, body: bytes, content_type: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self._url}/gradio_api/component_server/", body, {"Content-Type": content_type}
        )
        with urllib.request.urlopen(request, timeout=300) as response:
            return json.load(response)


@dataclass(frozen=True)
class Visit:
    """What one visitor does.

    Attributes:
        clicks: on one photo.
        think_seconds: the mean time between a mask and the next click.
        checkpoint: what makes the masks.
    """

    clicks: int
    think_seconds: float
    checkpoint: str


def visit(page: Page, photo: Path, plan: Visit, chance: random.Random, measured: Round) -> None:
    """One visitor: opens a photo and clicks at random places."""
    visitor = uuid4().hex  # the server serves visitors in turn, and lets each wait for a few answers only
    try:
        opened = page.open(photo, visitor, plan.checkpoint)
        if "error" in opened:
            measured.failures.append(str(opened)[:200])
            return
        for _ in range(plan.clicks):
            time.sleep(chance.expovariate(1 / plan.think_seconds) if plan.think_seconds else 0)
            point = [chance.uniform(0, opened["width"]), chance.uniform(0, opened["height"]), 1]
            started = time.perf_counter()
            request = {"photo": opened["photo"], "checkpoint": plan.checkpoint, "chain": [{"points": [point]}]}
            answer = page.call("predict", visitor=visitor, **request)
            measured.click_seconds.append(time.perf_counter() - started)
            if len(answer.get("candidates", [])) != 3:
                measured.failures.append(str(answer)[:200])
    except Exception as error:
        measured.failures.append(f"{type(error).__name__}: {error}")


def send_slowly(url: str, ended: Callable[[], bool]) -> None:
    """A visitor with a bad line: a byte of an upload each second, again and again."""
    address = urlsplit(url)
    head = (
        "POST /gradio_api/component_server/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
    )
    while not ended():
        with socket.create_connection((address.hostname, address.port or 80)) as line:
            line.sendall(head.encode())
            for _ in range(30):
                if ended():
                    return
                time.sleep(1)
                line.sendall(b"x")


def run_round(page: Page, visitors: int, plan: Visit) -> Round:
    """All visitors at once, each in a thread, one visit each."""
    photos, measured = [example_photo(name) for name in EXAMPLE_PHOTOS], Round()
    threads = [
        threading.Thread(target=visit, args=(page, photos[n % len(photos)], plan, random.Random(n), measured))
        for n in range(visitors)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return measured


class Crowd:
    """Visitors who come again and again until the time is over."""

    def __init__(self, page: Page, visitors: int, plan: Visit, ends_at: float) -> None:
        self._page, self._plan, self._ends_at = page, plan, ends_at
        self._measured, self._seen = Round(), (0, 0)
        self._threads = [threading.Thread(target=self._come_again, args=(n,), daemon=True) for n in range(visitors)]
        for thread in self._threads:
            thread.start()

    def _come_again(self, number: int) -> None:
        photos, chance = [example_photo(name) for name in EXAMPLE_PHOTOS], random.Random(number)
        while time.perf_counter() < self._ends_at:
            visit(self._page, chance.choice(photos), self._plan, chance, self._measured)

    def next_minute(self) -> Round:
        """What was measured in the next minute."""
        time.sleep(max(0, min(60, self._ends_at - time.perf_counter())))
        return self._new()

    def leave(self) -> Round:
        """Wait for those who are still there."""
        for thread in self._threads:
            thread.join()
        return self._new()

    def _new(self) -> Round:
        seen, self._seen = self._seen, (len(self._measured.click_seconds), len(self._measured.failures))
        clicks, failures = self._seen
        return Round(self._measured.click_seconds[seen[0] : clicks], self._measured.failures[seen[1] : failures])


def resident_mb(pid: int | None) -> float | None:
    """Memory of a process in MB, where there is a /proc."""
    status = Path(f"/proc/{pid}/status")
    if pid is None or not status.exists():
        return None
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmRSS"))


def report(name: str, measured: Round, seconds: float, memory: str) -> None:
    times = measured.click_seconds
    clicks = (
        f"a click {statistics.median(times) * 1000:.0f} ms (slowest {max(times) * 1000:.0f})" if times else "no click"
    )
    typer.echo(f"{name}: {len(times)} clicks in {seconds:.1f} s, {clicks}, {len(measured.failures)} failures{memory}")
    for failure in measured.failures[:5]:
        typer.echo(failure, err=True)


def main(
    url: Annotated[str, typer.Option(help="a running page")] = "http://127.0.0.1:7860",
    visitors: Annotated[int, typer.Option(help="at once")] = 20,
    clicks: Annotated[int, typer.Option(help="of each visitor on a photo")] = 10,
    rounds: Annotated[int, typer.Option(help="the same again: memory must not grow with them")] = 2,
    minutes: Annotated[int, typer.Option(help="visitors come again and again for so long, in place of rounds")] = 0,
    think: Annotated[float, typer.Option(help="mean seconds between a mask and the next click")] = 0,
    slow: Annotated[int, typer.Option(help="more visitors, who send a byte of an upload each second")] = 0,
    checkpoint: Annotated[str, typer.Option(help="one that the page offers")] = "default",
    pid: Annotated[int | None, typer.Option(help="of the server, for its memory")] = None,
) -> None:
    """Median and slowest click, failed requests, memory."""
    with report_errors():
        page, plan = Page(url), Visit(clicks, think, checkpoint)
        ended = threading.Event()
        for _ in range(slow):
            threading.Thread(target=send_slowly, args=(url, ended.is_set), daemon=True).start()
        if minutes:
            crowd = Crowd(page, visitors, plan, time.perf_counter() + 60 * minutes)
            for number in range(1, minutes + 1):
                report(f"minute {number}", crowd.next_minute(), 60, _memory(resident_mb(pid)))
            report("the rest", crowd.leave(), 0, _memory(resident_mb(pid)))
        else:
            for number in range(1, rounds + 1):
                started = time.perf_counter()
                measured = run_round(page, visitors, plan)
                seconds = time.perf_counter() - started
                report(f"round {number}, {visitors} visitors", measured, seconds, _memory(resident_mb(pid)))
        ended.set()


def _memory(mb: float | None) -> str:
    return "" if mb is None else f", server {mb:.0f} MB"


if __name__ == "__main__":
    typer.run(main)
