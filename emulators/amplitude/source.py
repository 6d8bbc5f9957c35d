"""Where the events come from: a seed, and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from core.errors import InvalidInput
from core.hours import ExportHour
from emulators.amplitude.changes import Change
from emulators.amplitude.events import EventWriter
from emulators.amplitude.members import Member, MemberCache, build_member
from emulators.amplitude.truth import Truth, truth_of, write_truth


@dataclass(frozen=True, eq=False)
class EventSource:
    """One Amplitude project: which events it has taken in, hour by hour.

    Guarantees: an hour's events depend on the seed, the project and how many events the hour has,
    and on nothing else, so that every window, request and process sees the same ones; every
    ``uuid`` and ``$insert_id`` is there once; every event has the 55 documented keys and a
    ``server_upload_time`` within its hour. Safe to share between threads.

    Args:
        seed: Another one gives other events.
        app_id: The project's number.
        first_hour: Before it there is no data.
        last_hour: The last one with data, included; None for open end.
        events_per_hour: On average over a day; by night it is less.
        constant: Exactly ``events_per_hour`` in every hour.
        parts_per_hour: Members of an hour, as far as there are events for them.
        quiet_hours: Hours in which nothing was received (late data may still be added).
        changes: What is different from some moment on.
        shuffle: Events and members come in another order, and in other members, at every answer.
        quirks: Members take turns in what a reader must also bear: blank lines, no newline at the
            end, two gzip streams in one file; and each hour has a member without events.
        cache_bytes: How much gzip is kept in memory for the next request.
    """

    seed: int = 1
    app_id: int = 100011471
    first_hour: ExportHour = field(default_factory=lambda: ExportHour.parse("2025-01-01T00"))
    last_hour: ExportHour | None = None
    _: KW_ONLY
    events_per_hour: int = 1000
    constant: bool = False
    parts_per_hour: int = 2
    quiet_hours: Collection[ExportHour] = ()
    changes: Sequence[Change] = ()
    shuffle: bool = False
    quirks: bool = False
    cache_bytes: int = 256 << 20
    _writer: EventWriter = field(init=False, repr=False)
    _cache: MemberCache = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.events_per_hour < 0 or self.parts_per_hour < 1:
            msg = "events_per_hour begins at 0 and parts_per_hour at 1."
            raise InvalidInput(msg)
        object.__setattr__(self, "_writer", EventWriter(self.seed, self.app_id))
        object.__setattr__(self, "_cache", MemberCache(self.cache_bytes))

    def count(self, hour: ExportHour, *, at: datetime | None = None, request: int = 1) -> int:
        """How many events an hour holds, without making them; see :meth:`lines`."""
        count = self._received(hour)
        for _, change in self._happened(hour, at, request):
            count = 0 if change.gone else max(0, count - change.drop) + change.add
        return count

    def lines(self, hour: ExportHour, *, at: datetime | None = None, request: int = 1) -> list[bytes]:
        """An hour's events as JSON lines without their newlines.

        Args:
            at: When it is asked for; None is before every change that waits for an instant.
            request: The how-many-th time it is asked for; 1 is the first.
        """
        lines = list(self._writer.lines(hour, self._received(hour), "events"))
        for number, change in self._happened(hour, at, request):
            kept = [] if change.gone else lines[change.drop :]
            late = 0 if change.gone else change.add
            lines = kept + list(self._writer.lines(hour, late, f"late-{number}"))
        if self.shuffle:
            Random(f"{self.seed}:{hour}:{request}").shuffle(lines)  # noqa: S311
        return lines

    def events(
        self, hour: ExportHour, *, at: datetime | None = None, request: int = 1
    ) -> list[dict[str, Any]]:
        """An hour's events, parsed; see :meth:`lines`."""
        return [json.loads(line) for line in self.lines(hour, at=at, request=request)]

    def truth(self, hour: ExportHour, *, at: datetime | None = None, request: int = 1) -> list[Truth]:
        """What must arrive of an hour: each event's uuid, hour and fingerprint; see :meth:`lines`."""
        return [truth_of(hour, line) for line in self.lines(hour, at=at, request=request)]

    def write_truth(
        self, path: Path, hours: Iterable[ExportHour], *, at: datetime | None = None, request: int = 1
    ) -> int:
        """Write the truth about some hours into a file, and say of how many events.

        See :func:`emulators.amplitude.truth.write_truth` for the file, :meth:`lines` for the rest.
        """
        return write_truth(
            path, (line for hour in hours for line in self.truth(hour, at=at, request=request))
        )

    def members(
        self, hour: ExportHour, *, at: datetime | None = None, request: int = 1
    ) -> tuple[Member, ...]:
        """An hour's files; built once and kept, as long as there is room. See :meth:`lines`."""
        asked = request if self.shuffle else 0
        key = hour, asked, tuple(number for number, _ in self._happened(hour, at, request))
        return self._cache.get(key, lambda: self._build(hour, at, request))

    def _build(self, hour: ExportHour, at: datetime | None, request: int) -> tuple[Member, ...]:
        lines = self.lines(hour, at=at, request=request)
        if not lines:
            return ()
        share = math.ceil(len(lines) / self.parts_per_hour)
        parts = [lines[first : first + share] for first in range(0, len(lines), share)]
        if self.quirks:
            parts.append([])
        members = [
            build_member(self.app_id, hour, part, chosen, quirky=self.quirks and bool(chosen))
            for part, chosen in enumerate(parts)
        ]
        if self.shuffle:
            Random(f"{self.seed}:{hour}:{request}:members").shuffle(members)  # noqa: S311
        return tuple(members)

    def _received(self, hour: ExportHour) -> int:
        """How many events came in within the hour, before any change."""
        if not self._alive(hour) or hour in self.quiet_hours:
            return 0
        if self.constant:
            return self.events_per_hour
        daylight = 1 - 0.7 * math.cos(math.tau * (hour.start.hour - 3) / 24)
        chance = Random(f"{self.seed}:{self.app_id}:{hour}:count")  # noqa: S311
        return round(self.events_per_hour * daylight * chance.uniform(0.9, 1.1))

    def _alive(self, hour: ExportHour) -> bool:
        return self.first_hour <= hour and (self.last_hour is None or hour <= self.last_hour)

    def _happened(self, hour: ExportHour, at: datetime | None, request: int) -> Iterator[tuple[int, Change]]:
        """The changes that an hour has gone through, each with its number."""
        return (
            (number, change)
            for number, change in enumerate(self.changes)
            if self._alive(hour) and change.holds(hour, at, request)
        )
