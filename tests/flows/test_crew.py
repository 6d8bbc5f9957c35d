"""Prefect's tasks as the conveyor's crew, in real flows; what the conveyor does, its own tests say."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
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
from core.conveyor import Belt, move_into_lake
from core.hours import ExportHour, ExportWindow, hours_between, windows_of
from core.transfer import Transfer
from emulators.amplitude import AmplitudeEmulator, EventSource, Fault
from emulators.s3 import S3Emulator
from flows.crew import LakeTasks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

BUCKET = "crew"
NOW = datetime(2025, 12, 24, 12, 30, tzinfo=UTC)
NEWEST = ExportHour.newest_complete(NOW)
ALWAYS = None


@dataclass
class Line:
    """A crew over an empty lake, and how many hours lay in its scratch folder whenever one was done."""

    amplitude: AmplitudeEmulator
    s3: S3Emulator
    pipeline: AmplitudePipeline
    scratch: Path
    folders: list[int] = field(default_factory=list)

    def hour_done(self) -> None:
        self.folders.append(len([path for path in self.scratch.iterdir() if path.is_dir()]))

    def run(
        self,
        hours: int,
        *,
        window_hours: int,
        workers: int = 4,
        retry_seconds: float = 0,
        restore: Collection[ExportHour] = (),
    ) -> Transfer:
        """Move the newest hours; nothing may be left on disk, however it ends."""
        block = self.pipeline
        windows = list(windows_of(hours_between(NEWEST - (hours - 1), NEWEST), window_hours=window_hours))

        @flow(task_runner=cast("Any", ThreadPoolTaskRunner(max_workers=workers)))
        def convey() -> list[Transfer]:
            crew = LakeTasks(
                block.amplitude,
                block.archive_limits,
                self.scratch,
                lambda: NOW,
                retry_seconds,
                pipeline=block,
            )
            belt = Belt(self.scratch, self.hour_done, archives_in_flight=2)
            return [
                move_into_lake(
                    windows, crew, belt, block.rules, claimed=False, every_window=True, restore=restore
                )
            ]

        (transfer,) = convey()
        assert list(self.scratch.iterdir()) == []
        return transfer

    def committed(self) -> dict[ExportHour, int]:
        """Events in the lake."""
        names = self.pipeline.open_lake().manifest_names(NEWEST - 100, NEWEST)
        return {name.hour: name.events for name in names}


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Emulator]:
    with S3Emulator(buckets=[BUCKET]) as emulator:
        yield emulator


@pytest.fixture
def line(s3: S3Emulator, tmp_path: Path) -> Iterator[Line]:
    with AmplitudeEmulator(EventSource(events_per_hour=20, constant=True)) as amplitude:
        aws = AwsCredentials(
            aws_access_key_id=s3.access_key,
            aws_secret_access_key=SecretStr(s3.secret_key),
            region_name=s3.region,
            aws_client_parameters=AwsClientParameters(endpoint_url=s3.url),
        )
        keys = [SecretStr(key) for key in amplitude.auth]
        pipeline = AmplitudePipeline(
            amplitude=AmplitudeCredentials(api_key=keys[0], secret_key=keys[1], base_url=amplitude.url),
            bucket=S3Bucket(bucket_name=BUCKET, credentials=aws, bucket_folder=uuid.uuid4().hex),
        )
        yield Line(amplitude, s3, pipeline, tmp_path)
    s3.heal()


def parts_put(line: Line, act: Callable[[], object]) -> set[str]:
    """The keys of parts that were put into the lake meanwhile."""
    line.s3.forget_requests()
    act()
    return {one.key for one in line.s3.requests if one.method == "PUT" and "/events/" in one.key}


def test_few_workers_bring_everything_and_do_not_lock_up(line: Line) -> None:
    """A whole passage; no task waits for one that is queued behind it."""
    transfer = line.run(4, window_hours=1, workers=1)
    assert line.committed() == dict.fromkeys(hours_between(NEWEST - 3, NEWEST), 20)
    assert (len(transfer.downloads), len(transfer.unpacked), len(transfer.committed)) == (4, 4, 4)
    assert (transfer.failures, transfer.stopped_by) == ({}, None)
    assert (transfer.source_events, transfer.lake_events) == (80, 80)


def test_an_hour_to_be_restored_goes_up_again_and_no_other(line: Line) -> None:
    first = parts_put(line, lambda: line.run(2, window_hours=2))
    again = parts_put(line, lambda: line.run(2, window_hours=2, restore={NEWEST}))
    assert again == {key for key in first if f"/hour={NEWEST.hour_of_day}/" in key}
    assert again


def test_an_hour_that_waits_for_its_retry_keeps_no_other_on_the_disk(line: Line) -> None:
    stuck = NEWEST - 11
    line.s3.fail("conflict", key=f"/hour={stuck.hour_of_day}/.*_0-", times=2)
    transfer = line.run(12, window_hours=12, retry_seconds=0.5)
    assert transfer.failures == {}
    assert [manifest.hour for manifest in transfer.manifests][-1] == stuck
    # Each that was done had left when the next one was: four in work, four waiting at most.
    assert max(line.folders) <= 8


def test_the_reason_of_a_failure_is_that_of_the_task_which_failed(line: Line) -> None:
    """Not that what depends on it never began."""
    busy, damaged = NEWEST - 2, NEWEST - 1
    line.amplitude.faults.add(Fault("status", status=429, retry_after=0, times=ALWAYS, hours={busy}))
    line.amplitude.faults.add(Fault("flipped-gzip", times=ALWAYS, hours={damaged}))
    transfer = line.run(3, window_hours=1)
    assert list(transfer.failures) == [busy, damaged]
    assert "answered 429" in transfer.failures[busy]
    assert "is not sound gzip" in transfer.failures[damaged]
    assert line.committed() == {NEWEST: 20}
    tried = [request.window for request in line.amplitude.requests if request.status == 429]
    assert tried == [ExportWindow(busy, busy)] * 3 * 4
