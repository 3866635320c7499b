"""Download a published checkpoint: resume, verify, then give it its name.

Written with the standard library: pooch verifies and renames, but starts again after a broken connection, and
huggingface_hub resumes downloads from its own hub only; here a file of 2.6 GB comes from a plain web server.
"""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ..errors import CheckpointError, FetchError
from ..files import sha256_of
from .reading import read_checkpoint
from .registry import CheckpointEntry

Progress = Callable[[int, int], None]  # bytes so far, bytes in all (0: unknown)
_BLOCK = 1 << 18
_TIMEOUT = 30  # seconds without a byte


def fetch(entry: CheckpointEntry, progress: Progress | None = None) -> Path:
    """Download a checkpoint, unless it is on this machine already, and return its path.

    A broken download leaves ``NAME.part``, and the next call goes on from there.

    Args:
        progress: called with the bytes so far and the bytes in all (0: unknown).

    Raises:
        FetchError: no connection, the server refuses, the disk is full, or the file is not what was published.
    """
    if entry.here:
        return entry.path
    part = entry.path.with_name(entry.path.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _download(entry, part, progress or (lambda done, total: None))
    except urllib.error.HTTPError as error:
        raise FetchError(f"{entry.url}: the server answers {error.code} {error.reason}") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise FetchError(
            f"{entry.url} cannot be reached ({reason}); connect to the internet and repeat the command (it goes on "
            f"where it stopped), or download the file elsewhere and put it at {entry.path}"
        ) from None
    except OSError as error:
        raise FetchError(f"{part} cannot be written: {error.strerror or error}") from None
    _verify(entry, part)
    os.replace(part, entry.path)
    return entry.path


def _download(entry: CheckpointEntry, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(entry.url, headers={"User-Agent": "repvit-sam"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # no bytes are left: the file is complete, and is verified next
            raise
        return
    with response:
        if response.status != 206:  # the server cannot resume: start again
            have = 0
        length = int(response.headers.get("Content-Length") or 0)
        total = have + length if length else 0
        with part.open("ab" if have else "wb") as stream:
            while block := response.read(_BLOCK):
                stream.write(block)
                have += len(block)
                progress(have, total)
    if total and have < total:
        raise ConnectionError(f"the connection broke after {have:,} of {total:,} bytes")


def _verify(entry: CheckpointEntry, part: Path) -> None:
    """Compare the file's hash with the published one; without one, check that it is a checkpoint of the variant."""
    try:
        if entry.sha256 and (found := sha256_of(part)) != entry.sha256:
            raise FetchError(f"{entry.url} gave a file with sha256 {found}, published is {entry.sha256}")
        if not entry.sha256 and (variant := read_checkpoint(part).variant) != entry.variant:
            raise FetchError(f"{entry.url} gave a checkpoint of {variant}, expected {entry.variant}")
    except (FetchError, CheckpointError) as error:
        part.unlink()
        raise FetchError(f"{error}; the file was deleted, try again") from None
