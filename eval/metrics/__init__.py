"""Masks, boxes and edge maps -> numbers. Pure functions: no model, no file."""

from __future__ import annotations

from collections.abc import Mapping

Metrics = Mapping[str, float | None]  # name -> value, in the order of the table; None where nothing could be measured
