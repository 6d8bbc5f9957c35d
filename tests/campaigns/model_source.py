"""Amplitude in memory, and a crew that does the conveyor's jobs one after the other."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

from core.amplitude.directory import Member
from core.amplitude.export import ExportedHour, ExportedWindow
from core.crew import Job
from core.errors import BrokenAnswer, PipelineError
from core.hours import ExportHour, ExportWindow
from core.lake.commit import LocalPart, commit_hour
from core.lake.manifest import Manifest
from core.lake.store import Lake
from core.timing import Stopwatch, Timed
from core.unpacking import UnpackedHour
from tests.campaigns.model_actors import Actor, Place
from tests.core.crews import tried

T = TypeVar("T")

#: Events of one hour, part by part.
Parts = tuple[tuple[str, ...], ...]

HOST = "amplitude.com"


class Source:
    """One project's export hours.

    Attributes:
        history: Everything that an hour has ever held.
    """

    def __init__(self, app_id: int, hours: Mapping[ExportHour, Parts]) -> None:
        self.app_id = app_id
        self._hours = dict(hours)
        self.history: dict[ExportHour, set[tuple[str, ...]]] = {}
        for hour, parts in hours.items():
            self.become(hour, parts)

    def become(self, hour: ExportHour, parts: Parts) -> None:
        """Let an hour hold something else from now on."""
        self._hours[hour] = tuple(part for part in parts if part)
        self.history.setdefault(hour, set()).add(self.events(hour))

    def parts(self, hour: ExportHour) -> Parts:
        """What the hour holds, part by part."""
        return self._hours.get(hour, ())

    def events(self, hour: ExportHour) -> tuple[str, ...]:
        """What the hour holds, sorted."""
        return tuple(sorted(event for part in self.parts(hour) for event in part))


class Clock:
    """The time, moved by hand; each look at it takes a millisecond."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def look(self) -> datetime:
        """What a machine's clock says."""
        self.now += timedelta(milliseconds=1)
        return self.now


@dataclass(frozen=True)
class Done(Generic[T]):
    """A job that is over."""

    result: Timed[T] | PipelineError

    def outcome(self) -> Timed[T] | PipelineError:
        return self.result


@dataclass(frozen=True)
class MemoryCrew:
    """Does each job when it is asked for, with the tries that tasks have.

    Attributes:
        scratch: Shared by all: files there are named by what they hold.
    """

    actor: Actor
    lake: Lake
    source: Source
    clock: Clock
    scratch: Path

    def download(self, window: ExportWindow) -> Done[ExportedWindow]:
        """The request's moment first, what it brings later: the source may change in between."""

        def work() -> ExportedWindow:
            exported_at = self.actor.door(Place("clock", _broken), self.clock.look)
            content = self.actor.door(
                Place("export", _broken), lambda: {hour: self.source.parts(hour) for hour in window}
            )
            app_id = self.source.app_id if any(content.values()) else None
            hours = tuple(
                ExportedHour(hour, window, exported_at, self.scratch, app_id, self._members(hour, parts))
                for hour, parts in content.items()
            )
            return ExportedWindow(window, hours, {}, (), 0, 1)

        return _done(work)

    def as_completed(self, jobs: Sequence[Job[T]]) -> Iterator[Job[T]]:
        yield from jobs

    def unpack(self, hour: ExportedHour, folder: Path) -> Done[UnpackedHour]:
        def work() -> UnpackedHour:
            parts = tuple(self._part(member) for member in hour.members)
            return UnpackedHour(hour.hour, hour.window, hour.exported_at, hour.app_id, folder, parts)

        return _done(work)

    def commit(self, unpacked: Job[UnpackedHour], *, restore: bool) -> Done[Manifest]:
        def work() -> Manifest:
            hour = unpacked.outcome()
            assert isinstance(hour, Timed)
            ready = hour.receipt
            return commit_hour(
                self.lake,
                ready.hour,
                ready.parts,
                app_id=ready.app_id,
                api_host=HOST,
                exported_at=ready.exported_at,
                window=ready.window,
                compression="none",
                uploads_at_once=1,  # one after the other, so that each is a door of its own
                restore=restore,
            )

        return _done(work)

    def _members(self, hour: ExportHour, parts: Parts) -> tuple[Member, ...]:
        """Members that are files already, under the name of their content."""
        members = []
        for number, events in enumerate(parts):
            body = "".join(json.dumps({"uuid": event}) + "\n" for event in events).encode()
            name = f"{zlib.crc32(body):08x}-{len(body)}"
            path = self.scratch / name
            if not path.exists():
                path.write_bytes(body)
            stem = f"{self.source.app_id}_{hour.day}_{int(hour.hour_of_day)}#{number}"
            members.append(Member(name, stem, self.source.app_id, hour, len(body), zlib.crc32(body)))
        return tuple(members)

    def _part(self, member: Member) -> LocalPart:
        path = self.scratch / member.name
        events = path.read_bytes().count(b"\n")
        size, crc32 = member.size_bytes, member.crc32
        return LocalPart(path, member.stem, events, size, crc32, size, crc32)


def _done(work: Callable[[], T]) -> Done[T]:
    stopwatch = Stopwatch()
    try:
        return Done(stopwatch.stop(tried(work)))
    except PipelineError as error:
        return Done(error)


def _broken() -> BrokenAnswer:
    return BrokenAnswer("The answer was cut.")
