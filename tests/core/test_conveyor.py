"""The conveyor over plain threads, from an emulated Amplitude to an emulated S3."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from core.amplitude.client import ExportClient
from core.amplitude.export import ExportedHour
from core.conveyor import Belt, _outcome, move_into_folder, move_into_lake
from core.crew import Job
from core.errors import DamagedMember, ExportRefused, LakeRefused
from core.hours import ExportHour, ExportWindow, hours_between, windows_of
from core.lake.layout import Status
from core.lake.manifest import Manifest
from core.planning import PlanRules
from core.survey import survey
from core.transfer import Transfer
from core.unpacking import UnpackedHour
from emulators.amplitude import AmplitudeEmulator, EventSource, Fault
from tests.core.crews import ThreadJob, Threads
from tests.core.lake.examples import at
from tests.core.lakes import Pond

T = TypeVar("T")
NOW = at("2025-12-24T12:30")
NEWEST = ExportHour.newest_complete(NOW)
ALWAYS = None


@dataclass(frozen=True)
class Crew(Threads):
    """Threads that note what they are asked for, and tell of jobs in the order of their hours, reversed.

    Attributes:
        restored: Whether an hour was committed because its objects were damaged.
        backwards: Whether the last job is told of first.
    """

    restored: dict[ExportHour, bool] = field(default_factory=dict)
    backwards: bool = False
    _hours: dict[Job[UnpackedHour], ExportHour] = field(default_factory=dict)

    def unpack(self, hour: ExportedHour, folder: Path) -> ThreadJob[UnpackedHour]:
        job = super().unpack(hour, folder)
        self._hours[job] = hour.hour
        return job

    def commit(self, unpacked: Job[UnpackedHour], *, restore: bool) -> ThreadJob[Manifest]:
        self.restored[self._hours[unpacked]] = restore
        return super().commit(unpacked, restore=restore)

    def as_completed(self, jobs: Sequence[Job[T]]) -> Iterator[Job[T]]:
        done = super().as_completed(jobs)
        yield from reversed(list(done) and list(jobs)) if self.backwards else done


@dataclass
class Line:
    """One conveyor over an empty lake.

    Attributes:
        done: Hours that were committed, or have failed.
        archives, folders: How many lay in the scratch folder whenever one was done.
    """

    amplitude: AmplitudeEmulator
    pond: Pond
    crew: Crew
    archives_in_flight: int
    rules: PlanRules
    done: int = 0
    archives: list[int] = field(default_factory=list)
    folders: list[int] = field(default_factory=list)

    def hour_done(self) -> None:
        self.done += 1
        self.folders.append(len([path for path in self.crew.scratch.iterdir() if path.is_dir()]))
        self.archives.append(len(list(self.crew.scratch.glob("*.zip"))))

    @property
    def belt(self) -> Belt:
        return Belt(self.crew.scratch, self.hour_done, self.archives_in_flight)

    def run(self, hours: int, *, every_window: bool = False) -> Transfer:
        """Move what is missing of the newest hours."""
        first = NEWEST - (hours - 1)
        found = survey(self.pond.lake, NOW, first=first, last=NEWEST, rules=self.rules)
        claimed = found.identity is not None
        return self.move(found.plan.windows, claimed=claimed, every_window=every_window)

    def move(
        self,
        windows: Sequence[ExportWindow],
        *,
        claimed: bool = True,
        every_window: bool = True,
        restore: Collection[ExportHour] = (),
    ) -> Transfer:
        """Move windows into the lake; nothing may be left on disk, however it ends."""
        transfer = move_into_lake(
            windows,
            self.crew,
            self.belt,
            self.rules,
            claimed=claimed,
            every_window=every_window,
            restore=restore,
        )
        assert list(self.crew.scratch.iterdir()) == []
        return transfer

    def extract(self, hours: int) -> Transfer:
        """Move the newest hours into the folder; likewise."""
        windows = windows_of(hours_between(NEWEST - (hours - 1), NEWEST), window_hours=2)
        transfer = move_into_folder(windows, self.crew, self.belt)
        assert list(self.crew.scratch.iterdir()) == []
        return transfer

    def asked(self) -> list[ExportWindow]:
        """What each request asked for."""
        return [request.window for request in self.amplitude.requests if request.window]

    def sizes(self) -> list[int]:
        """How many hours each request asked for."""
        return list(map(len, self.asked()))

    def committed(self) -> dict[ExportHour, int]:
        """Events in the lake."""
        names = self.pond.lake.manifest_names(NEWEST - 100, NEWEST)
        return {name.hour: name.events for name in names}


Build = Callable[..., Line]


@pytest.fixture
def build(pond: Pond, tmp_path: Path) -> Iterator[Build]:
    """Makes a line; ends its emulator with the test."""
    with ExitStack() as stack:

        def make(
            *,
            workers: int = 4,
            in_flight: int = 2,
            window_hours: int = 1,
            secret: str = "",
            backwards: bool = False,
            **amplitude: Any,
        ) -> Line:
            source = EventSource(events_per_hour=20, constant=True, **amplitude.pop("source", {}))
            emulator = stack.enter_context(AmplitudeEmulator(source, **amplitude))
            scratch = tmp_path / "scratch"
            scratch.mkdir()
            crew = Crew(
                pool=stack.enter_context(ThreadPoolExecutor(workers)),
                make_client=lambda: ExportClient(
                    api_key=emulator.auth[0],
                    secret_key=secret or emulator.auth[1],
                    base_url=emulator.url,
                    sleep=lambda _seconds: None,
                ),
                lake=pond.lake,
                scratch=scratch,
                clock=lambda: NOW,
                host="amplitude.com",
                folder=tmp_path / "json",
                backwards=backwards,
            )
            return Line(emulator, pond, crew, in_flight, PlanRules(window_hours=window_hours))

        yield make


# Into the lake


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("workers", "in_flight"), [(1, 2), (2, 2), (6, 1), (6, 3)])
def test_no_more_archives_are_on_the_way_than_allowed_and_few_workers_do_not_lock_up(
    build: Build, workers: int, in_flight: int
) -> None:
    line = build(workers=workers, in_flight=in_flight)
    at_once = min(workers, in_flight)
    line.amplitude.faults.add(Fault("slow", seconds=0.1 * (at_once - 1), times=ALWAYS))
    transfer = line.run(4, every_window=True)
    assert line.committed() == dict.fromkeys(hours_between(NEWEST - 3, NEWEST), 20)
    assert line.amplitude.busiest == at_once
    assert max(line.archives) <= in_flight
    assert line.done == len(transfer.committed) == len(transfer.unpacked) == 4
    assert (transfer.failures, transfer.stopped_by) == ({}, None)


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [
        ({"timeout_hours": 2}, [4, 4, 2, 2, 2, 2]),  # a 504 is asked for once more
        ({"size_limit_bytes": 2 * 20 * 170}, [4, 2, 2, 2, 2]),  # a 400 is not
    ],
)
def test_the_size_that_worked_is_remembered_for_later_windows(
    build: Build, limit: dict[str, Any], sizes: list[int]
) -> None:
    line = build(window_hours=4, in_flight=1, **limit)
    transfer = line.run(8, every_window=True)
    assert line.sizes() == sizes
    assert len(line.committed()) == 8
    assert transfer.failures == {}


def test_later_windows_that_are_too_large_are_cut_and_stay_oldest_first(build: Build) -> None:
    """If the run is killed, the next one goes on from where it ended."""
    line = build(window_hours=8, in_flight=1, size_limit_bytes=2 * 20 * 170)
    line.run(16, every_window=True)
    begins = [window.first for window in line.asked() if len(window) == 2]
    assert begins == [NEWEST - 15 + 2 * number for number in range(8)]
    assert line.sizes() == [8, 4, *[2] * 8]


def test_a_window_that_is_small_enough_is_not_cut_and_makes_nothing_forgotten(build: Build) -> None:
    line = build(in_flight=1, size_limit_bytes=2 * 20 * 170)
    first, single = ExportWindow(NEWEST - 9, NEWEST - 6), ExportWindow(NEWEST - 4, NEWEST - 4)
    line.move([first, single, ExportWindow(NEWEST - 3, NEWEST)])
    assert line.sizes() == [4, 2, 2, 1, 2, 2]


def test_a_stranger_in_an_archive_costs_the_one_hour_that_it_comes_with(build: Build) -> None:
    line = build(window_hours=4)
    odd = NEWEST - 2
    line.amplitude.faults.add(Fault("stranger", times=ALWAYS, hours={odd}))
    transfer = line.run(4, every_window=True)
    assert line.committed().keys() == set(hours_between(NEWEST - 3, NEWEST)) - {odd}
    assert list(transfer.failures) == [odd]
    assert "stranger.bin" in transfer.failures[odd]
    assert transfer.stopped_by is None


def test_an_hour_that_stays_damaged_is_asked_for_once_more_and_costs_no_other(build: Build) -> None:
    line = build(window_hours=4)
    bad = NEWEST - 2
    line.amplitude.faults.add(Fault("flipped-gzip", times=ALWAYS, hours={bad}))
    transfer = line.run(4, every_window=True)
    assert line.committed().keys() == set(hours_between(NEWEST - 3, NEWEST)) - {bad}
    assert (list(transfer.failures), transfer.damaged) == ([bad], {bad})
    assert line.asked() == [ExportWindow(NEWEST - 3, NEWEST), ExportWindow(bad, bad)]
    assert line.done == 4


def test_an_hour_that_was_damaged_once_lands_with_its_second_export(build: Build) -> None:
    line = build(window_hours=4)
    line.amplitude.faults.add(Fault("flipped-gzip", hours={NEWEST - 2}))
    transfer = line.run(4, every_window=True)
    assert line.committed() == dict.fromkeys(hours_between(NEWEST - 3, NEWEST), 20)
    assert (transfer.failures, transfer.damaged) == ({}, {NEWEST - 2})
    assert len(transfer.unpacked) == len(transfer.committed) == line.done == 4


def test_a_second_export_opens_a_lake_too(build: Build) -> None:
    line = build()
    line.amplitude.faults.add(Fault("flipped-gzip"))
    transfer = line.run(1)
    assert line.sizes() == [1, 1]
    assert (len(transfer.committed), transfer.unclaimed) == (1, [])


def test_a_busy_amplitude_costs_its_window_after_all_tries_and_no_other(build: Build) -> None:
    line = build(window_hours=2)
    busy = {NEWEST - 2, NEWEST - 3}
    line.amplitude.faults.add(Fault("status", status=429, retry_after=0, times=ALWAYS, hours={NEWEST - 3}))
    transfer = line.run(6, every_window=True)
    assert set(transfer.failures) == busy
    assert all("answered 429" in reason for reason in transfer.failures.values())
    assert line.committed().keys() == set(hours_between(NEWEST - 5, NEWEST)) - busy
    assert sum(request.status == 429 for request in line.amplitude.requests) == 3 * 4


def test_an_hour_that_amplitude_fails_over_costs_nothing_but_itself(build: Build) -> None:
    line = build(window_hours=6)
    failing = NEWEST - 3
    line.amplitude.faults.add(Fault("status", status=503, retry_after=0, times=ALWAYS, hours={failing}))
    transfer = line.run(6, every_window=True)
    assert list(transfer.failures) == [failing]
    assert line.committed().keys() == set(hours_between(NEWEST - 5, NEWEST)) - {failing}


def test_an_hour_that_is_done_leaves_the_disk_whatever_another_one_waits_for(build: Build) -> None:
    line = build(window_hours=6, backwards=True)
    line.run(6, every_window=True)
    assert line.folders == [5, 4, 3, 2, 1, 0]


# A lake that no archive has opened yet


def test_a_lake_without_an_archive_is_asked_for_its_newest_window_unless_all_were_wanted(
    build: Build,
) -> None:
    line = build(window_hours=2, source={"last_hour": NEWEST - 50})
    transfer = line.run(6)
    assert line.asked() == [ExportWindow(NEWEST - 1, NEWEST)]
    assert transfer.unclaimed == list(hours_between(NEWEST - 5, NEWEST))
    assert (transfer.unpublished, transfer.committed) == ([], [])

    transfer = line.run(6, every_window=True)
    # One window before, three now; and the three hours old enough to be empty once more.
    assert sorted(line.sizes()) == [1, 2, 2, 2, 2, 2]
    assert transfer.unclaimed == list(hours_between(NEWEST - 5, NEWEST))
    assert line.pond.lake.identity() is None
    assert line.committed() == {}


def test_the_newest_window_opens_a_lake_for_the_others(build: Build) -> None:
    line = build(window_hours=2, in_flight=1)
    transfer = line.run(6)
    assert len(line.committed()) == 6
    assert transfer.unclaimed == []
    assert [window.first for window in line.asked()] == [NEWEST - 1, NEWEST - 5, NEWEST - 3]


# Hours without files


def test_an_hour_without_files_is_empty_if_it_is_old_and_not_yet_published_if_it_is_young(
    build: Build,
) -> None:
    old, young = NEWEST - 4, NEWEST - 1
    line = build(window_hours=6, source={"quiet_hours": {old, young}})
    transfer = line.run(6)
    assert transfer.unpublished == [young]
    assert transfer.unclaimed == []
    names = line.pond.lake.manifest_names(NEWEST - 5, NEWEST)
    assert {name.hour: name.status for name in names if not name.events} == {old: Status.EMPTY}
    assert line.committed().keys() == set(hours_between(NEWEST - 5, NEWEST)) - {young}

    line.amplitude.requests.clear()
    line.run(6)
    assert line.asked() == [ExportWindow(young, young)]


# Hours whose objects are missing


def uploaded(line: Line) -> set[str]:
    """Which folders of the lake parts were put into, since this was asked before."""
    sent = {one.key for one in line.pond.s3.requests if one.method == "PUT"}
    line.pond.s3.forget_requests()
    folders = {
        key.partition(line.pond.prefix)[2].rpartition("/")[0] for key in sent if line.pond.prefix in key
    }
    return {f"{folder}/" for folder in folders if folder.startswith("events/")}


def folder_of(hour: ExportHour) -> str:
    return f"events/date={hour.day}/hour={hour.hour_of_day}/"


def test_hours_to_be_restored_go_up_although_the_lake_knows_their_content(build: Build) -> None:
    line = build(window_hours=3)
    line.run(3)
    gone = NEWEST - 1
    parts = [key for key in line.pond.contents() if key.startswith(folder_of(gone))]
    for key in parts:
        line.pond.remove(key)
    uploaded(line)
    transfer = line.move([ExportWindow(NEWEST - 2, NEWEST)], restore={gone})
    assert line.crew.restored == {NEWEST - 2: False, gone: True, NEWEST: False}
    assert uploaded(line) == {folder_of(gone)}
    assert set(parts) <= set(line.pond.contents())
    assert len(transfer.committed) == 3


def test_hours_that_are_only_asked_for_again_do_not_go_up(build: Build) -> None:
    line = build(window_hours=3)
    line.run(3)
    uploaded(line)
    transfer = line.move([ExportWindow(NEWEST - 2, NEWEST)])
    assert set(line.crew.restored.values()) == {False}
    assert uploaded(line) == set()
    assert len(transfer.committed) == 3


def test_an_hour_to_be_restored_that_is_quiet_now_is_told_so_to_the_crew_as_well(build: Build) -> None:
    old = NEWEST - 4
    line = build(window_hours=6, source={"quiet_hours": {old}})
    line.run(6)
    line.move([ExportWindow(old, old)], restore={old})
    assert line.crew.restored[old] is True


# What ends everything


def test_wrong_keys_stop_everything_at_once(build: Build) -> None:
    line = build(in_flight=2, secret="wrong-secret")
    transfer = line.run(6, every_window=True)
    assert isinstance(transfer.stopped_by, ExportRefused)
    assert len(line.amplitude.requests) <= 2
    assert line.committed() == {}


def test_a_lake_that_refuses_stops_everything_but_what_was_on_the_way(build: Build) -> None:
    line = build(in_flight=2)
    line.pond.s3.fail("denied", key="/events/", times=1000)
    transfer = line.run(6, every_window=True)
    assert isinstance(transfer.stopped_by, LakeRefused)
    assert len(line.amplitude.requests) == 2
    assert line.committed() == {}


# Into a folder


def test_hours_become_files_and_those_without_are_named(build: Build) -> None:
    line = build(source={"quiet_hours": {NEWEST - 2}})
    transfer = line.extract(4)
    assert [one.receipt.hour for one in transfer.extracted] == [NEWEST - 3, NEWEST - 1, NEWEST]
    written = [path for one in transfer.extracted for path in one.receipt.written]
    assert sorted(written) == sorted(line.crew.folder.iterdir())
    assert (transfer.quiet, transfer.failures, line.done) == ([NEWEST - 2], {}, 4)
    assert line.pond.contents() == []


@pytest.mark.parametrize(("times", "lands"), [(1, True), (ALWAYS, False)])
def test_a_damaged_hour_is_asked_for_once_more_there_too(
    build: Build, times: int | None, lands: bool
) -> None:
    line = build(in_flight=1)
    bad = NEWEST - 1
    line.amplitude.faults.add(Fault("truncated-gzip", times=times, hours={bad}))
    transfer = line.extract(4)
    assert line.sizes() == [2, 2, 1]
    assert list(transfer.failures) == ([] if lands else [bad])
    assert len(transfer.extracted) == 3 + lands
    assert line.done == 4


# What a job ends with


class Done:
    """A job that is."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def outcome(self) -> Exception:
        return self._error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DamagedMember("is no gzip"), "is no gzip"),
        (KeyError("events"), "KeyError: 'events'"),
    ],
)
def test_the_reason_of_a_failure_is_what_ours_say_and_the_kind_of_a_foreign_error(
    error: Exception, reason: str
) -> None:
    transfer = Transfer()
    assert _outcome(Done(error), transfer, [NEWEST, NEWEST - 1]) is None
    assert transfer.failures == {NEWEST: reason, NEWEST - 1: reason}
    assert transfer.stopped_by is None


def test_the_first_error_that_ends_everything_is_the_one_that_is_told() -> None:
    transfer = Transfer()
    first, second = ExportRefused("first"), ExportRefused("second")
    for error in (first, second):
        _outcome(Done(error), transfer, [NEWEST])
    assert transfer.stopped_by is first
    assert transfer.failures == {}  # it would be the same reason for every hour


def test_an_hour_that_came_damaged_is_not_without_data_whatever_is_said_of_it_next(build: Build) -> None:
    line = build(window_hours=6)
    odd = NEWEST - 5
    line.amplitude.faults.add(Fault("flipped-gzip", hours={odd}))
    line.amplitude.faults.add(
        Fault("status", status=404, text="Raw data files were not found.", hours={odd}, times=ALWAYS)
    )
    transfer = line.run(6, every_window=True)
    assert list(transfer.failures) == [odd]
    assert odd not in line.committed()
    assert transfer.unpublished == []


def test_the_size_that_worked_is_remembered_from_the_newest_window_on(build: Build) -> None:
    line = build(window_hours=4, in_flight=1, timeout_hours=2)
    line.run(8)
    assert line.sizes() == [4, 4, 2, 2, 2, 2]
