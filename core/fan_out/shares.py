"""A plan cut into shares of bounded size; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from core.errors import InvalidInput
from core.gaps import GapPlan, Why
from core.hours import MAX_WINDOW_HOURS, ExportHour, ExportWindow, windows_of

#: Hours as parameters of a run: for each reason, rows of them, such as ``2025-12-23T00...T23``.
ToldHours = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Share:
    """What one run of many exports.

    Attributes:
        hours: Those of the plan, oldest first, at least one. They need not follow one another.
        whys: What each of them is exported for.
    """

    hours: tuple[ExportHour, ...]
    whys: tuple[Why, ...]

    @property
    def range(self) -> ExportWindow:
        """From the first of its hours to the last: no other share has an hour in between."""
        return ExportWindow(self.hours[0], self.hours[-1])

    @property
    def why(self) -> dict[ExportHour, Why]:
        """What each of its hours is exported for."""
        return dict(zip(self.hours, self.whys, strict=True))

    def __len__(self) -> int:
        return len(self.hours)

    def __str__(self) -> str:
        return str(self.range)

    def told(self) -> dict[str, list[str]]:
        """The same as parameters of a run; see :meth:`read`."""
        rows: dict[str, list[str]] = {}
        for why in Why:
            hours = [hour for hour, reason in self.why.items() if reason is why]
            windows = windows_of(hours, window_hours=MAX_WINDOW_HOURS)
            if hours:
                rows[why.name.lower()] = [window.name for window in windows]
        return rows

    @classmethod
    def read(cls, told: ToldHours) -> Self:
        """The share that :meth:`told` has told of.

        Raises:
            InvalidInput: No hours, an unknown reason, or hours that are none. Permanent.
        """
        why: dict[ExportHour, Why] = {}
        reasons = {reason.name.lower(): reason for reason in Why}
        for name, rows in told.items():
            if name not in reasons:
                msg = f"Hours are exported for one of {', '.join(reasons)}, not for {name[:40]!r}."
                raise InvalidInput(msg)
            for row in rows:
                why |= dict.fromkeys(ExportWindow.parse(row), reasons[name])
        if not why:
            msg = "A part needs hours to export: the gap-fill that starts it names them."
            raise InvalidInput(msg)
        hours = tuple(sorted(why))
        return cls(hours, tuple(why[hour] for hour in hours))


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
    return tuple(Share(hours, tuple(plan.why[hour] for hour in hours)) for hours in _filled(pieces, most))


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
