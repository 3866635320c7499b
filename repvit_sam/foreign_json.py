"""JSON from other programs and other people -> Python values, within limits. All files of strangers are read here.

``json.loads`` has no limit of size, answers deep nesting with RecursionError (and what it still reads may be too deep
to be written again), takes numbers that no array holds, and half characters that cannot be written as UTF-8.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

MAX_BYTES = 2 * 2**30  # LVIS's train file has 1.2 GB
MAX_DEPTH = 64  # COCO's files have 6, a page's requests 7
MAX_WHOLE_NUMBER = 2**63 - 1  # what an array of NumPy's int64 holds
_MAX_DIGITS = 20  # of a whole number: 2**63 has 19, and a sign
_BLOCK = 1 << 22  # bytes looked through at once

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
_OTHER_THAN_SIGNS = bytes(set(range(256)) - set(b'[]{}"'))


class ForeignJsonError(ValueError):
    """Text that is no JSON, or JSON beyond the limits. The message is the rest of a sentence: "is not JSON (...)"."""


def read_foreign_json(path: Path, max_bytes: int = MAX_BYTES) -> Any:
    """The content of a JSON file.

    Raises:
        ForeignJsonError: as ``parse_foreign_json``; a file that is too large is not read.
        OSError: the file cannot be read.
    """
    _check_size(path.stat().st_size, max_bytes)
    return parse_foreign_json(path.read_bytes(), max_bytes)


def parse_foreign_json(data: bytes | str, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """JSON -> dictionaries, lists, text and numbers, all of which can be written as JSON in UTF-8 again.

    Args:
        data: UTF-8, with or without a byte order mark.
        max_depth: lists and objects within each other.

    Raises:
        ForeignJsonError: no UTF-8, no JSON, larger or deeper than the limits, a whole number of more than 64 bits, or
            half a character (a lone surrogate).
    """
    _check_size(len(data), max_bytes)
    if isinstance(data, str):
        try:
            data = data.encode()
        except UnicodeEncodeError:
            raise ForeignJsonError(_HALF) from None
    _check_depth(data, max_depth)
    try:
        content = json.loads(data.decode("utf-8-sig"), parse_int=_whole_number)
    except UnicodeDecodeError as error:
        raise ForeignJsonError(f"is no text in UTF-8 (byte {error.start})") from None
    except ForeignJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise ForeignJsonError(f"is not JSON ({error})") from None
    if _HALF_CHARACTER.search(data):
        try:
            json.dumps(content, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ForeignJsonError(_HALF) from None
    return content


_HALF = "holds half a character (a lone surrogate), which is no text"


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise ForeignJsonError(f"has {size:,} bytes of JSON, more than {most:,}, the limit")


def _whole_number(digits: str) -> int:
    number = int(digits) if len(digits) <= _MAX_DIGITS else None
    if number is None or not -MAX_WHOLE_NUMBER <= number <= MAX_WHOLE_NUMBER:
        raise ForeignJsonError(f"holds a whole number of {len(digits)} digits; the limit is {MAX_WHOLE_NUMBER:,}")
    return number


def _check_depth(data: bytes, most: int) -> None:
    """Count brackets outside of text, before anything is parsed; a fraction of the time of parsing."""
    if data.count(b"[") + data.count(b"{") <= most:
        return
    depth, in_text = 0, 0
    if b"\\" in data:
        data = _ESCAPE.sub(b"", data)  # backslashes are in text alone
    for start in range(0, len(data), _BLOCK):
        signs = np.frombuffer(data[start : start + _BLOCK].translate(None, _OTHER_THAN_SIGNS), dtype=np.uint8)
        quotes = np.cumsum(signs == ord('"')) + in_text
        opened = ((signs == ord("[")) | (signs == ord("{"))).astype(np.int64)
        closed = (signs == ord("]")) | (signs == ord("}"))
        depths = np.cumsum((opened - closed) * (quotes % 2 == 0)) + depth
        if depths.max(initial=0) > most:
            raise ForeignJsonError(f"nests lists and objects more than {most} levels deep, the limit")
        if len(signs):
            depth, in_text = int(depths[-1]), int(quotes[-1] % 2)
