"""Export hours and export windows, the unit of everything this project does.

Amplitude files every event under the hour in which its servers took it in
(``server_upload_time``, UTC) and exports whole hours only. An hour has two spellings:
``2025-12-23T19`` for people, keys and parameters, ``20251223T19`` in API calls.

Source: https://amplitude.com/docs/apis/analytics/export
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

from core.errors import InvalidInput

ONE_HOUR = timedelta(hours=1)

#: Data received 8-9 PM is exportable at 11 PM: hour h (its start) is complete at h + 3 h.
EXPORT_DELAY = timedelta(hours=3)

#: The longest range one request may ask for.
MAX_WINDOW_HOURS = 365 * 24

#: Before this day Amplitude's archives hold one file a day, which no hour can be told from.
FIRST_HOURLY_DAY = date(2014, 11, 12)

#: What lies in a shorter gap is read too: a page of a listing costs less than a round trip.
_LONGEST_GAP = timedelta(days=30)

_SPELLING = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})T(\d{2})(?::00(?::00(?:\.0+)?)?(?:Z|\+00:00))?", re.ASCII)


@dataclass(frozen=True, order=True, slots=True)
class ExportHour:
    """One UTC hour of ``server_upload_time``, named by its start.

    Args:
        start: The hour's first instant; aware, UTC, on the hour.

    Raises:
        InvalidInput: ``start`` is naive, in another zone, or not on the hour. Permanent.
    """

    start: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.start.utcoffset() != timedelta(0):
            msg = f"Export hours are UTC: {self.start.isoformat()} is naive or in another time zone."
            raise InvalidInput(msg)
        if self.start != self.start.replace(minute=0, second=0, microsecond=0):
            msg = f"An export hour starts on the hour, {self.start.isoformat()} does not."
            raise InvalidInput(msg)
        # London is on UTC in winter and would leave it when hours are added.
        object.__setattr__(self, "start", self.start.astimezone(UTC))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read either spelling: ``2025-12-23T19`` or ``20251223T19``.

        A full ISO instant on the hour is taken if it says that it is UTC
        (``2025-12-23T19:00:00Z``); without a zone it is refused, for nobody could know which
        was meant.

        Raises:
            InvalidInput: Anything else. Permanent.
        """
        match = _SPELLING.fullmatch(text.strip())
        if match is None:
            msg = f"Not an export hour: {text[:40]!r}. Write it in UTC as 2025-12-23T19 (or 20251223T19)."
            raise InvalidInput(msg)
        try:
            return cls(datetime(*map(int, match.groups()), tzinfo=UTC))  # type: ignore[misc,arg-type]
        except ValueError as error:
            msg = f"Not an export hour: {text[:40]!r} ({error})."
            raise InvalidInput(msg) from None

    @classmethod
    def containing(cls, instant: datetime) -> Self:
        """The hour in which an aware instant lies."""
        if instant.tzinfo is None:
            msg = f"An instant needs a time zone, {instant.isoformat()} has none."
            raise InvalidInput(msg)
        return cls(instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0))

    @classmethod
    def newest_complete(cls, now: datetime) -> Self:
        """The last hour that Amplitude has finished exporting at ``now``: ``floor(now - 3 h)``."""
        return cls(cls.containing(now).start - EXPORT_DELAY)

    def __str__(self) -> str:
        return self.start.isoformat()[:13]  # strftime leaves out zeros of the first thousand years

    @property
    def api(self) -> str:
        """The spelling that the Export API takes: ``20251223T19``."""
        return f"{self.start:%Y%m%dT%H}"

    @property
    def day(self) -> str:
        """``2025-12-23``."""
        return self.start.date().isoformat()

    @property
    def hour_of_day(self) -> str:
        """``19``, two digits."""
        return f"{self.start:%H}"

    @property
    def complete_at(self) -> datetime:
        """When Amplitude has finished exporting the hour."""
        return self.start + EXPORT_DELAY

    def __add__(self, hours: int) -> ExportHour:
        return ExportHour(self.start + hours * ONE_HOUR)

    def __sub__(self, hours: int) -> ExportHour:
        return ExportHour(self.start - hours * ONE_HOUR)


@dataclass(frozen=True, order=True, slots=True)
class ExportWindow:
    """First to last hour, **both included**, as the Export API takes it.

    Raises:
        InvalidInput: The end lies before the start. Permanent.
    """

    first: ExportHour
    last: ExportHour

    def __post_init__(self) -> None:
        if self.last < self.first:
            msg = f"The end lies before the start: {self.first} … {self.last}."
            raise InvalidInput(msg)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what :meth:`__str__` or :attr:`name` has written: ``2025-12-23T00…T23``.

        Raises:
            InvalidInput: Anything else. Permanent.
        """
        begin, until, end = text.replace("...", "…").partition("…")
        first = ExportHour.parse(begin)
        last = ExportHour.parse(f"{first.day}{end}" if end.startswith("T") else end) if until else first
        return cls(first, last)

    def __str__(self) -> str:
        if self.first == self.last:
            return str(self.first)
        end = self.last.hour_of_day if self.first.day == self.last.day else str(self.last)
        return f"{self.first}…{'T' * (len(end) == len('00'))}{end}"

    @property
    def name(self) -> str:
        """The same in ASCII, for names of runs: Prefect's timeline draws no other signs."""
        return str(self).replace("…", "...")

    def __len__(self) -> int:
        return (self.last.start - self.first.start) // ONE_HOUR + 1

    def __iter__(self) -> Iterator[ExportHour]:
        return hours_between(self.first, self.last)

    def __contains__(self, hour: object) -> bool:
        return isinstance(hour, ExportHour) and self.first <= hour <= self.last

    def halves(self) -> tuple[ExportWindow, ExportWindow]:
        """The window in two: the first half and the rest. Needs at least two hours."""
        middle = self.first + (len(self) // 2 - 1)
        return ExportWindow(self.first, middle), ExportWindow(middle + 1, self.last)


def hours_between(first: ExportHour, last: ExportHour) -> Iterator[ExportHour]:
    """Every hour from ``first`` to ``last``, both included, oldest first; none if ``last`` is earlier."""
    hour = first
    while hour <= last:
        yield hour
        hour += 1


def windows_of(hours: Iterable[ExportHour], *, window_hours: int) -> Iterator[ExportWindow]:
    """Cover ``hours`` with windows that contain nothing else.

    Guarantees: every hour lies in exactly one window; a window holds contiguous hours only, at
    most ``window_hours`` of them; windows come oldest first.

    Raises:
        InvalidInput: ``window_hours`` is less than 1 or more than 365 days. Permanent.
    """
    if not 1 <= window_hours <= MAX_WINDOW_HOURS:
        msg = f"One request asks for 1 to {MAX_WINDOW_HOURS} hours (365 days), not for {window_hours}."
        raise InvalidInput(msg)
    first: ExportHour | None = None
    last: ExportHour | None = None
    for hour in sorted(set(hours)):
        if first is not None and last is not None:
            if hour == last + 1 and (hour.start - first.start) // ONE_HOUR < window_hours:
                last = hour
                continue
            yield ExportWindow(first, last)
        first = last = hour
    if first is not None and last is not None:
        yield ExportWindow(first, last)


def stretches(hours: Iterable[ExportHour]) -> Iterator[ExportWindow]:
    """First to last hour of each stretch that one question is asked for, oldest first.

    Guarantees: every hour lies in one stretch, and neighbours in it are at most 30 days apart: two hours of
    different years are not a reason to read what lies between them.
    """
    first: ExportHour | None = None
    last: ExportHour | None = None
    for hour in sorted(set(hours)):
        if first is not None and last is not None and hour.start - last.start > _LONGEST_GAP:
            yield ExportWindow(first, last)
            first = None
        first, last = first or hour, hour
    if first is not None and last is not None:
        yield ExportWindow(first, last)
