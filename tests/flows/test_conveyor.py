"""The conveyor, in real flows, from an emulated Amplitude to an emulated S3."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner
from prefect_aws.client_parameters import AwsClientParameters
from prefect_aws.credentials import AwsCredentials
from prefect_aws.s3 import S3Bucket
from pydantic import SecretStr

from blocks import AmplitudeCredentials, AmplitudePipeline
from core.errors import DamagedMember, ExportRefused, LakeRefused
from core.hours import ExportHour, ExportWindow, hours_between
from core.lake.layout import Status
from core.report import Transfer
from core.survey import survey
from emulators.amplitude import AmplitudeEmulator, EventSource, Fault
from emulators.s3 import S3Emulator
from flows.conveyor import Belt, _outcome, move_into_lake
from flows.progress import Progress

BUCKET = "conveyor"
NOW = datetime(2025, 12, 24, 12, 30, tzinfo=UTC)
NEWEST = ExportHour.newest_complete(NOW)
ALWAYS = None


@dataclass
class Watcher(Progress):
    """Counts hours, and what lies in the scratch folder whenever one is done."""

    scratch: Path
    done: int = 0
    archives: list[int] = field(default_factory=list)
    folders: list[int] = field(default_factory=list)

    def hour_done(self) -> None:
        self.done += 1
        self.folders.append(len([path for path in self.scratch.iterdir() if path.is_dir()]))
        self.archives.append(len(list(self.scratch.glob("*.zip"))))


@dataclass(frozen=True)
class Line:
    """One conveyor over an empty lake."""

    amplitude: AmplitudeEmulator
    s3: S3Emulator
    pipeline: AmplitudePipeline
    belt: Belt
    watcher: Watcher

    def run(self, hours: int, *, workers: int = 4, every_window: bool = False) -> Transfer:
        """Move what is missing of the newest hours; nothing may be left on disk, however it ends."""
        first = NEWEST - (hours - 1)
        found = survey(self.pipeline.open_lake(), NOW, first=first, last=NEWEST, rules=self.pipeline.rules)

        @flow(task_runner=cast("Any", ThreadPoolTaskRunner(max_workers=workers)))
        def convey() -> list[Transfer]:
            return [move_into_lake(found, self.pipeline, self.belt, every_window=every_window)]

        (transfer,) = convey()
        assert list(self.belt.scratch.iterdir()) == []
        return transfer

    def sizes(self) -> list[int]:
        """How many hours each request asked for."""
        return [len(request.window) for request in self.amplitude.requests if request.window]

    def committed(self) -> dict[ExportHour, int]:
        """Events in the lake."""
        names = self.pipeline.open_lake().manifest_names(NEWEST - 100, NEWEST)
        return {name.hour: name.events for name in names}


Build = Callable[..., Line]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Emulator]:
    with S3Emulator(buckets=[BUCKET]) as emulator:
        yield emulator


@pytest.fixture
def build(s3: S3Emulator, tmp_path: Path, prefect_server: None) -> Iterator[Build]:
    """Makes a line; ends its emulator with the test."""
    emulators = []

    def make(*, in_flight: int = 2, window_hours: int = 1, **amplitude: Any) -> Line:
        source = EventSource(events_per_hour=20, constant=True, **amplitude.pop("source", {}))
        emulator = AmplitudeEmulator(source, **amplitude).start()
        emulators.append(emulator)
        aws = AwsCredentials(
            aws_access_key_id=s3.access_key,
            aws_secret_access_key=SecretStr(s3.secret_key),
            region_name=s3.region,
            aws_client_parameters=AwsClientParameters(endpoint_url=s3.url),
        )
        keys = [SecretStr(key) for key in emulator.auth]
        credentials = AmplitudeCredentials(api_key=keys[0], secret_key=keys[1], base_url=emulator.url)
        pipeline = AmplitudePipeline(
            amplitude=credentials,
            bucket=S3Bucket(bucket_name=BUCKET, credentials=aws, bucket_folder=uuid.uuid4().hex),
            window_hours=window_hours,
        )
        scratch = tmp_path / uuid.uuid4().hex
        scratch.mkdir()
        watcher = Watcher(scratch)
        belt = Belt(credentials, scratch, lambda: NOW, watcher, 0, in_flight)
        return Line(emulator, s3, pipeline, belt, watcher)

    yield make
    for emulator in emulators:
        emulator.stop()
    s3.heal()


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize(("workers", "in_flight"), [(1, 2), (2, 2), (6, 1), (6, 3)])
def test_no_more_archives_are_on_the_way_than_allowed_and_few_workers_do_not_lock_up(
    build: Build, workers: int, in_flight: int
) -> None:
    line = build(in_flight=in_flight)
    line.amplitude.faults.add(Fault("slow", seconds=0.1, times=ALWAYS))
    transfer = line.run(5, workers=workers, every_window=True)
    assert line.committed() == dict.fromkeys(hours_between(NEWEST - 4, NEWEST), 20)
    assert line.amplitude.busiest == min(workers, in_flight)
    assert max(line.watcher.archives) <= in_flight
    assert line.watcher.done == len(transfer.committed) == len(transfer.unpacked) == 5
    assert (transfer.failures, transfer.stopped_by) == ({}, None)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_stranger_in_an_archive_costs_the_one_hour_that_it_comes_with(build: Build) -> None:
    line = build(window_hours=4)
    odd = NEWEST - 2
    line.amplitude.faults.add(Fault("stranger", times=ALWAYS, hours={odd}))
    transfer = line.run(4, every_window=True)
    assert line.committed().keys() == set(hours_between(NEWEST - 3, NEWEST)) - {odd}
    assert list(transfer.failures) == [odd]
    assert "stranger.bin" in transfer.failures[odd]
    assert transfer.stopped_by is None


@pytest.mark.slow
def test_a_busy_amplitude_costs_its_window_after_all_tries_and_no_other(build: Build) -> None:
    line = build(window_hours=2)
    busy = {NEWEST - 2, NEWEST - 3}
    line.amplitude.faults.add(Fault("status", status=429, retry_after=0, times=ALWAYS, hours={NEWEST - 3}))
    transfer = line.run(6, every_window=True)
    assert set(transfer.failures) == busy
    assert all("answered 429" in reason for reason in transfer.failures.values())
    assert line.committed().keys() == set(hours_between(NEWEST - 5, NEWEST)) - busy
    assert sum(request.status == 429 for request in line.amplitude.requests) == 3 * 4


@pytest.mark.slow
def test_an_hour_that_amplitude_fails_over_costs_nothing_but_itself(build: Build) -> None:
    line = build(window_hours=6)
    failing = NEWEST - 3
    line.amplitude.faults.add(Fault("status", status=503, retry_after=0, times=ALWAYS, hours={failing}))
    transfer = line.run(6, every_window=True)
    assert list(transfer.failures) == [failing]
    assert line.committed().keys() == set(hours_between(NEWEST - 5, NEWEST)) - {failing}


@pytest.mark.slow
def test_a_lake_without_an_archive_is_asked_for_its_newest_window_unless_all_were_wanted(
    build: Build,
) -> None:
    line = build(window_hours=2, source={"last_hour": NEWEST - 50})
    transfer = line.run(6)
    assert [request.window for request in line.amplitude.requests] == [ExportWindow(NEWEST - 1, NEWEST)]
    assert transfer.unclaimed == list(hours_between(NEWEST - 5, NEWEST))
    assert (transfer.unpublished, transfer.committed) == ([], [])

    transfer = line.run(6, every_window=True)
    assert line.sizes() == [2, 2, 2, 2]
    assert transfer.unclaimed == list(hours_between(NEWEST - 5, NEWEST))
    assert line.pipeline.open_lake().identity() is None
    assert line.committed() == {}


@pytest.mark.slow
def test_an_hour_that_waits_for_its_retry_keeps_no_other_on_the_disk(build: Build) -> None:
    line = build(window_hours=12)
    stuck = NEWEST - 11
    line.s3.fail("error", key=f"/events/date={stuck.day}/hour={stuck.hour_of_day}/", times=1000)
    transfer = line.run(12, workers=4)
    assert list(transfer.failures) == [stuck]
    assert len(line.committed()) == 11
    # Each that was done had left when the next one was: four in work, four waiting at most.
    assert max(line.watcher.folders) <= 8


@pytest.mark.slow
def test_the_newest_window_opens_a_lake_for_the_others(build: Build) -> None:
    line = build(window_hours=2)
    transfer = line.run(6)
    assert len(line.committed()) == 6
    assert transfer.unclaimed == []


@pytest.mark.slow
def test_an_hour_without_files_is_empty_if_it_is_old_and_not_yet_published_if_it_is_young(
    build: Build,
) -> None:
    old, young = NEWEST - 4, NEWEST - 1
    line = build(window_hours=6, source={"quiet_hours": {old, young}})
    transfer = line.run(6)
    assert transfer.unpublished == [young]
    assert transfer.unclaimed == []
    names = line.pipeline.open_lake().manifest_names(NEWEST - 5, NEWEST)
    assert {name.hour: name.status for name in names if not name.events} == {old: Status.EMPTY}
    assert line.committed().keys() == set(hours_between(NEWEST - 5, NEWEST)) - {young}

    line.amplitude.requests.clear()
    line.run(6)
    assert [request.window for request in line.amplitude.requests] == [ExportWindow(young, young)]


@pytest.mark.slow
def test_wrong_keys_stop_everything_at_once(build: Build) -> None:
    line = build(in_flight=2)
    wrong = line.belt.amplitude.model_copy(update={"secret_key": SecretStr("wrong-secret")})
    refused = replace(line, belt=replace(line.belt, amplitude=wrong))
    transfer = refused.run(6, every_window=True)
    assert isinstance(transfer.stopped_by, ExportRefused)
    assert len(line.amplitude.requests) <= 2
    assert line.committed() == {}


@pytest.mark.slow
def test_a_lake_that_refuses_stops_everything_but_what_was_on_the_way(build: Build) -> None:
    line = build(in_flight=2)
    line.s3.fail("denied", key="/events/", times=1000)
    transfer = line.run(6, every_window=True)
    assert isinstance(transfer.stopped_by, LakeRefused)
    assert len(line.amplitude.requests) == 2
    assert line.committed() == {}


class Done:
    """A future that is."""

    def __init__(self, result: object) -> None:
        self._result = result

    def result(self, *, raise_on_failure: bool) -> object:
        assert not raise_on_failure
        return self._result


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
    assert _outcome(cast("Any", Done(error)), transfer, [NEWEST, NEWEST - 1]) is None
    assert transfer.failures == {NEWEST: reason, NEWEST - 1: reason}
    assert transfer.stopped_by is None


def test_the_first_error_that_ends_everything_is_the_one_that_is_told() -> None:
    transfer = Transfer()
    first, second = ExportRefused("first"), ExportRefused("second")
    for error in (first, second):
        _outcome(cast("Any", Done(error)), transfer, [NEWEST])
    assert transfer.stopped_by is first
    assert transfer.failures == {}  # it would be the same reason for every hour
