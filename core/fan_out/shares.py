"""A plan cut into shares of bounded size; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.gaps import GapPlan, Why
from core.hours import ExportHour, ExportWindow, windows_of


@dataclass(frozen=True, slots=True)
class Share:
    """What one run of many exports.

    Attributes:
        hours: Those of the plan, oldest first, at least one. They need not follow one another.
        asked: Of these, the ones that are exported because somebody asked for them by name.
    """

    hours: tuple[ExportHour, ...]
    asked: tuple[ExportHour, ...] = ()

    @property
    def range(self) -> ExportWindow:
        """From the first of its hours to the last: no other share has an hour in between."""
        return ExportWindow(self.hours[0], self.hours[-1])

    def __len__(self) -> int:
        return len(self.hours)

    def __str__(self) -> str:
        return str(self.range)


def shares_of(
    plan: GapPlan, *, max_hours: int, max_json_bytes: int, json_bytes_per_hour: float
) -> tuple[Share, ...]:
    """Cut a plan into shares.

    Guarantees: every hour of ``plan.why`` is in exactly one share; the ranges of shares do not touch each
    other, and are in order. A share holds at most ``max_hours``, and no more hours than ``max_json_bytes``
    allows by the average, but at least one. Export windows are cut only if one alone is too long.

    Args:
        max_hours: At least 1.
        max_json_bytes: What a share may gunzip to.
        json_bytes_per_hour: By the hours that are there; 0 if nobody knows.
    """
    most = max(1, min(max_hours, int(max_json_bytes / max(json_bytes_per_hour, 1.0))))
    pieces = [piece for window in plan.windows for piece in windows_of(window, window_hours=most)]
    return tuple(
        Share(hours, tuple(hour for hour in hours if plan.why[hour] is Why.ASKED))
        for hours in _filled(pieces, most)
    )


def _filled(pieces: Iterable[ExportWindow], most: int) -> Iterator[tuple[ExportHour, ...]]:
    """Pieces put together as long as they fit."""
    hours: list[ExportHour] = []
    for piece in pieces:
        if hours and len(hours) + len(piece) > most:
            yield tuple(hours)
            hours = []
        hours.extend(piece)
    if hours:
        yield tuple(hours)


def in_share(shares: Sequence[Share]) -> dict[ExportHour, Share]:
    """Whose each hour is."""
    return {hour: share for share in shares for hour in share.hours}
