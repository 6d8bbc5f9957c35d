"""Whole windows, in as many requests as it takes."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest

from core.amplitude.client import ClientLimits, ExportClient
from core.amplitude.export import ExportedHour, ExportedWindow, export_window
from core.errors import BrokenAnswer, ExportRefused, ExportUnavailable, PipelineError, is_transient
from core.hours import ExportHour, ExportWindow
from emulators.amplitude import AmplitudeEmulator, EventSource, Fault, FaultPlan
from emulators.amplitude.faults import ArchiveFault, BodyFault, WireFault
from tests.core.amplitude.archives import APP, DAY, HOUR, ONE_HOUR, name_of

LATER = datetime(2025, 12, 25, tzinfo=UTC)
BEFORE_NOON = ExportHour.parse("2025-12-23T09")
EVENTS = 4
QUIET = ExportHour.parse("2025-12-23T11")


@contextmanager
def amplitude(*faults: Fault, quiet: tuple[ExportHour, ...] = ()) -> Iterator[AmplitudeEmulator]:
    source = EventSource(seed=7, app_id=APP, events_per_hour=EVENTS, constant=True, quiet_hours=quiet)
    with AmplitudeEmulator(source, clock=lambda: LATER, faults=faults) as emulator:
        yield emulator


def export(emulator: AmplitudeEmulator, folder: Path, window: ExportWindow = DAY) -> ExportedWindow:
    api_key, secret_key = emulator.auth
    with ExportClient(
        api_key=api_key,
        secret_key=secret_key,
        base_url=emulator.url,
        limits=ClientLimits(attempts=2),
        sleep=lambda _: None,
    ) as client:
        requests = iter(range(1_000))
        exported = export_window(
            client, window, folder, clock=lambda: LATER + timedelta(minutes=next(requests))
        )
    assert_whole(exported, window, emulator)
    return exported


def assert_whole(exported: ExportedWindow, window: ExportWindow, emulator: AmplitudeEmulator) -> None:
    """What holds of every window, whatever happened to it."""
    assert exported.window == window
    landed = [hour.hour for hour in exported.hours]
    assert landed == sorted(landed)
    assert Counter([*landed, *exported.failures]) == Counter(window)
    assert exported.requests == len(emulator.requests)
    assert exported.size_bytes == sum(path.stat().st_size for path in exported.archives)
    assert set(exported.archives) >= {hour.archive for hour in exported.hours if hour.members}
    for hour in exported.hours:
        assert hour.hour in hour.window
        assert uuids_of(hour) == sorted(truth.uuid for truth in emulator.truth(hour.hour))


def uuids_of(hour: ExportedHour) -> list[str]:
    """An independent look into the archive."""
    if not hour.members:
        return []
    with ZipFile(hour.archive) as archive:
        content = b"".join(gzip.decompress(archive.read(member.name)) for member in hour.members)
    return sorted(json.loads(line)["uuid"] for line in content.splitlines())


def asked_for(emulator: AmplitudeEmulator, status: int) -> list[int]:
    """How many hours each request that got this answer asked for."""
    return [
        len(request.window) for request in emulator.requests if request.window and request.status == status
    ]


# One request


def test_a_window_comes_in_one_request(tmp_path: Path) -> None:
    with amplitude() as emulator:
        exported = export(emulator, tmp_path)
    assert exported.requests == 1
    assert exported.failures == {}
    assert exported.largest_window_hours is None
    assert exported.archives == tuple(tmp_path.iterdir())
    assert {(hour.window, hour.exported_at, hour.app_id) for hour in exported.hours} == {(DAY, LATER, APP)}


def test_exporting_again_writes_the_same_file_anew(tmp_path: Path) -> None:
    with amplitude() as emulator:
        first = export(emulator, tmp_path)
        first.archives[0].write_bytes(b"x" * 1_000_000)
        emulator.requests.clear()
        again = export(emulator, tmp_path)
    assert again == first


def test_an_hour_without_files_in_a_good_archive_has_no_members(tmp_path: Path) -> None:
    with amplitude(quiet=(QUIET,)) as emulator:
        exported = export(emulator, tmp_path)
    assert [hour.hour for hour in exported.hours if not hour.members] == [QUIET]


def test_a_window_without_files_has_no_archive(tmp_path: Path) -> None:
    with amplitude(quiet=tuple(DAY)) as emulator:
        exported = export(emulator, tmp_path)
    assert (exported.archives, exported.size_bytes, exported.requests) == ((), 0, 1)
    assert {(hour.members, hour.app_id, hour.exported_at) for hour in exported.hours} == {((), None, LATER)}


def test_what_is_passed_over_is_named(tmp_path: Path) -> None:
    with amplitude(Fault("stranger", name=f"{APP}/readme.txt")) as emulator:
        exported = export(emulator, tmp_path)
    assert exported.skipped == (f"'{APP}/readme.txt'",)
    assert exported.failures == {}


# Too much for one request


@pytest.mark.parametrize("hours", [13, 12, 7, 6, 5, 3, 1])
@pytest.mark.parametrize(("status", "tries"), [(400, 1), (504, 2)])
def test_a_window_is_halved_until_it_fits_and_the_size_is_remembered(
    hours: int, status: int, tries: int, tmp_path: Path
) -> None:
    with amplitude(Fault("status", status=status, min_hours=hours + 1, times=None)) as emulator:
        exported = export(emulator, tmp_path)
        failed, worked = asked_for(emulator, status), asked_for(emulator, 200)
    assert exported.failures == {}
    assert exported.largest_window_hours == max(worked) <= hours
    # No size is tried again once it was too much, and none is smaller than it need be.
    assert set(Counter(failed).values()) == {tries}
    assert all(
        2 * smaller >= larger for larger, smaller in zip(failed, [*failed[1:], max(worked)], strict=True)
    )
    assert exported.requests == len(failed) + len(worked)


def test_halving_without_memory_would_ask_in_vain_again_and_again(tmp_path: Path) -> None:
    def naive(window: ExportWindow, fits: int) -> int:
        return 1 if len(window) <= fits else 1 + sum(naive(half, fits) for half in window.halves())

    with amplitude(Fault("status", status=400, min_hours=2, times=None)) as emulator:
        exported = export(emulator, tmp_path)
    assert naive(DAY, fits=1) == 47
    assert exported.requests < 30


def test_each_hour_knows_the_request_that_brought_it(tmp_path: Path) -> None:
    with amplitude(Fault("status", status=400, min_hours=13)) as emulator:
        exported = export(emulator, tmp_path)
    one, other = DAY.halves()
    assert {(hour.window, hour.exported_at) for hour in exported.hours} == {
        (one, LATER + timedelta(minutes=1)),
        (other, LATER + timedelta(minutes=2)),
    }
    assert set(exported.archives) == set(tmp_path.iterdir())


@pytest.mark.parametrize("status", [400, 504])
def test_one_hour_that_is_too_large_fails_alone_with_advice(status: int, tmp_path: Path) -> None:
    fault = Fault("status", status=status, text="Size exceeds 4 GB", hours=[HOUR], times=None)
    with amplitude(fault) as emulator:
        exported = export(emulator, tmp_path)
    assert list(exported.failures) == [HOUR]
    assert "Size exceeds 4 GB" in exported.failures[HOUR]
    assert "export to S3" in exported.failures[HOUR]
    assert len(exported.hours) == 23


# Strangers


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("stranger", name="stranger.bin", hours=[HOUR], times=None), "stranger.bin"),
        (Fault("second-app", hours=[HOUR], times=None), name_of(HOUR, 0, app=APP + 1)),
        (Fault("duplicate", hours=[HOUR], times=None), name_of(HOUR)),
        (Fault("outside", hours=[HOUR], times=None), name_of(HOUR + 1)),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_a_stranger_costs_the_hour_it_came_with_and_no_other(fault: Fault, said: str, tmp_path: Path) -> None:
    with amplitude(fault) as emulator:
        exported = export(emulator, tmp_path)
    assert list(exported.failures) == [HOUR]
    assert said in exported.failures[HOUR]
    assert len(exported.hours) == 23
    assert set(exported.archives) == set(tmp_path.iterdir())


def test_a_stranger_does_not_make_the_windows_after_it_smaller(tmp_path: Path) -> None:
    with amplitude(Fault("stranger", hours=[BEFORE_NOON], times=None)) as emulator:
        exported = export(emulator, tmp_path)
        worked = asked_for(emulator, 200)
    assert exported.largest_window_hours is None
    assert worked[-2:] == [12, 1]  # the afternoon, in one request; then the strange hour once more


# What ends it


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", status=429, hours=[HOUR], times=None), ExportUnavailable),
        (Fault("status", status=503, times=None), ExportUnavailable),
        (Fault("cut", times=None), BrokenAnswer),
        (Fault("status", status=403, hours=[HOUR], times=None), ExportRefused),
        (Fault("redirect", hours=[HOUR], times=None), ExportRefused),
    ],
    ids=lambda value: getattr(value, "label", ""),
)
def test_other_errors_are_passed_on(fault: Fault, kind: type[PipelineError], tmp_path: Path) -> None:
    with amplitude(fault) as emulator, pytest.raises(kind) as error:
        export(emulator, tmp_path)
    assert isinstance(error.value, kind)


@pytest.mark.parametrize("fault", [Fault("status", status=503, times=None), Fault("cut", times=None)])
def test_an_outage_is_not_looked_for_in_every_single_hour(fault: Fault, tmp_path: Path) -> None:
    with amplitude(fault) as emulator:
        with pytest.raises((ExportUnavailable, BrokenAnswer)):
            export(emulator, tmp_path)
        asked = Counter(len(request.window) for request in emulator.requests if request.window)
    assert asked == {24: 2, 12: 4, 6: 8}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hours", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("fault", [Fault("status", status=503, times=None), Fault("cut", times=None)])
def test_an_outage_is_left_to_the_task_s_retry_however_short_the_window(
    fault: Fault, hours: int, tmp_path: Path
) -> None:
    """A window that returns with failures is not tried again: its task has completed."""
    window = ExportWindow(HOUR, HOUR + (hours - 1))
    with amplitude(fault) as emulator, pytest.raises((ExportUnavailable, BrokenAnswer)) as raised:
        export(emulator, tmp_path, window)
    assert is_transient(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hours", [[HOUR], [HOUR - 15, HOUR], [HOUR, HOUR + 1]])
@pytest.mark.parametrize("status", [500, 503])
def test_hours_that_the_server_fails_over_do_not_cost_their_neighbours(
    status: int, hours: list[ExportHour], tmp_path: Path
) -> None:
    with amplitude(Fault("status", status=status, hours=hours, times=None)) as emulator:
        exported = export(emulator, tmp_path)
    assert set(exported.failures) == set(hours)
    assert all(str(status) in reason for reason in exported.failures.values())
    assert len(exported.hours) == 24 - len(hours)
    assert exported.largest_window_hours is None


@pytest.mark.parametrize("kind", ["reset", "cut", "truncated", "flipped-zip", "html", "empty"])
def test_an_hour_whose_answers_stay_damaged_does_not_cost_its_neighbours(
    kind: WireFault | BodyFault | ArchiveFault, tmp_path: Path
) -> None:
    with amplitude(Fault(kind, hours=[HOUR], times=None)) as emulator:
        exported = export(emulator, tmp_path)
    assert set(exported.failures) == {HOUR}
    assert len(exported.hours) == 23
    assert exported.largest_window_hours is None


def test_a_single_hour_that_stays_damaged_is_left_to_the_task_s_retry(tmp_path: Path) -> None:
    with amplitude(Fault("cut", times=None)) as emulator, pytest.raises(BrokenAnswer):
        export(emulator, tmp_path, ONE_HOUR)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_kept_of_a_window_that_fails(tmp_path: Path) -> None:
    halve = Fault("status", status=400, min_hours=13)
    with (
        amplitude(halve, Fault("status", status=403, hours=[HOUR], times=None)) as emulator,
        pytest.raises(ExportRefused),
    ):
        export(emulator, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_fault_that_heals_costs_nothing_but_a_request(tmp_path: Path) -> None:
    with amplitude(Fault("cut")) as emulator:
        exported = export(emulator, tmp_path)
    assert exported.failures == {}
    assert exported.requests == 2


def test_damage_inside_a_sound_zip_is_left_to_gunzip(tmp_path: Path) -> None:
    with amplitude() as emulator:
        emulator.faults = FaultPlan([Fault("flipped-gzip")])
        api_key, secret_key = emulator.auth
        with ExportClient(api_key=api_key, secret_key=secret_key, base_url=emulator.url) as client:
            exported = export_window(client, ONE_HOUR, tmp_path, clock=lambda: LATER)
    assert [len(hour.members) for hour in exported.hours] == [2]
