"""How counts and hours are written for people."""

from __future__ import annotations

from collections.abc import Iterable

from core.hours import MAX_WINDOW_HOURS, ExportHour, windows_of


def counted(number: int, noun: str) -> str:
    """``1 hour``, ``24 hours``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004


def listed(hours: Iterable[ExportHour]) -> str:
    """Hours as the stretches they form: ``2025-12-23T00…T23, 2025-12-25T07``."""
    return ", ".join(str(window) for window in windows_of(hours, window_hours=MAX_WINDOW_HOURS))
