"""How counts and hours are written for people."""

from __future__ import annotations

from collections.abc import Iterable

from core.hours import MAX_WINDOW_HOURS, ExportHour, windows_of


def counted(number: int, noun: str) -> str:
    """``1 hour``, ``24 hours``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(hours: Iterable[ExportHour]) -> str:
    """Hours as the stretches they form: ``2025-12-23T00…T23, 2025-12-25T07``."""
    return ", ".join(str(window) for window in windows_of(hours, window_hours=MAX_WINDOW_HOURS))
