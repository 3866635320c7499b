"""Ids of a COCO file <-> ids as the page has them.

JavaScript's numbers are exact up to 2**53 - 1 and rounded beyond, so that two annotations would become one. Larger ids
travel as text, "#9007199254740993"; text that begins with # has another one put before it.
"""

from __future__ import annotations

Id = int | str

_LARGEST_EXACT = 2**53 - 1


def page_id(own: Id) -> Id:
    """An id of the file -> one that JavaScript keeps as it is."""
    if isinstance(own, int):
        return own if abs(own) <= _LARGEST_EXACT else f"#{own}"
    return f"#{own}" if own.startswith("#") else own


def own_id(sent: Id) -> Id:
    """What ``page_id`` was made of; text that it does not make stays as it is, and is the id of nothing."""
    if isinstance(sent, int) or not sent.startswith("#"):
        return sent
    digits = sent[1:].removeprefix("-")
    if digits.isascii() and digits.isdecimal() and len(digits) < 20:
        return int(sent[1:])
    return sent[1:] if sent.startswith("##") else sent
