"""Every fault does what its name says, as often as it should, and then heals."""

from __future__ import annotations

import gzip
import time
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest

from core.errors import InvalidInput
from core.hours import ExportHour, ExportWindow
from emulators.amplitude import AmplitudeEmulator, Fault, FaultPlan
from tests.emulators.test_amplitude import HOUR, NOW, ask, source, unpack


@pytest.fixture
def amplitude() -> Iterator[AmplitudeEmulator]:
    with AmplitudeEmulator(source(), clock=lambda: NOW) as emulator:
        yield emulator


@pytest.fixture
def sound(amplitude: AmplitudeEmulator) -> bytes:
    return ask(amplitude, HOUR, HOUR + 1).content


def strike(amplitude: AmplitudeEmulator, kind: Any, **settings: Any) -> httpx.Response:
    amplitude.faults.add(Fault(kind, **settings))
    return ask(amplitude, HOUR, HOUR + 1)


def names(body: bytes) -> list[str]:
    return zipfile.ZipFile(BytesIO(body)).namelist()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 504])
def test_a_status_comes_as_often_as_planned_and_then_heals(amplitude: AmplitudeEmulator, status: int) -> None:
    amplitude.faults.add(Fault("status", status=status, times=2))
    assert [ask(amplitude, HOUR).status_code for _ in range(3)] == [status, status, 200]
    assert [request.fault for request in amplitude.requests] == [str(status), str(status), None]
    assert list(amplitude.faults) == []


def test_retry_after_and_text_are_sent_as_given(amplitude: AmplitudeEmulator) -> None:
    answer = strike(amplitude, "status", status=429, retry_after=3, text="slow down")
    assert (answer.headers["Retry-After"], answer.text) == ("3", "slow down")
    assert "Retry-After" not in strike(amplitude, "status", status=429).headers
    date = "Wed, 24 Dec 2025 12:00:05 GMT"
    assert strike(amplitude, "status", status=503, retry_after=date).headers["Retry-After"] == date


def test_a_redirect_points_where_it_should(amplitude: AmplitudeEmulator) -> None:
    answer = strike(amplitude, "redirect", location="http://elsewhere.invalid/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://elsewhere.invalid/")


def test_a_reset_ends_the_connection_before_any_byte(amplitude: AmplitudeEmulator) -> None:
    with pytest.raises(httpx.ReadError, match="reset"):
        strike(amplitude, "reset")
    assert amplitude.requests[-1].status is None
    assert ask(amplitude, HOUR).status_code == 200


def test_a_truncated_body_agrees_with_its_length(amplitude: AmplitudeEmulator, sound: bytes) -> None:
    answer = strike(amplitude, "truncated", fraction=0.25)
    assert int(answer.headers["Content-Length"]) == len(answer.content) == len(sound) // 4
    assert sound.startswith(answer.content)
    with pytest.raises(zipfile.BadZipFile):
        unpack(answer.content)


@pytest.mark.parametrize("transfer", ["length", "chunked"])
@pytest.mark.parametrize("fraction", [0.0, 0.7])
def test_a_cut_ends_the_connection_before_the_body(transfer: Any, fraction: float) -> None:
    with AmplitudeEmulator(source(), clock=lambda: NOW, transfer=transfer) as amplitude:
        with pytest.raises(httpx.RemoteProtocolError):
            strike(amplitude, "cut", fraction=fraction)
        assert unpack(ask(amplitude, HOUR).content)


def test_a_cut_cannot_be_seen_where_the_connection_tells_the_length(sound: bytes) -> None:
    with AmplitudeEmulator(source(), clock=lambda: NOW, transfer="close") as amplitude:
        assert strike(amplitude, "cut").content == sound[: len(sound) // 2]


def test_a_slow_first_byte_comes_late_and_all_is_well(amplitude: AmplitudeEmulator, sound: bytes) -> None:
    began = time.monotonic()
    assert strike(amplitude, "slow", seconds=0.3).content == sound
    assert time.monotonic() - began >= 0.3
    amplitude.faults.add(Fault("slow", seconds=5))
    with pytest.raises(httpx.ReadTimeout):
        ask(amplitude, HOUR, timeout=0.2)


def test_a_stall_comes_amid_the_body_and_all_is_well(amplitude: AmplitudeEmulator, sound: bytes) -> None:
    amplitude.faults.add(Fault("stall", seconds=0.3))
    params = {"start": HOUR.api, "end": (HOUR + 1).api}
    with httpx.stream("GET", f"{amplitude.url}/api/2/export", params=params, auth=amplitude.auth) as answer:
        began = time.monotonic()
        assert b"".join(answer.iter_raw()) == sound
        assert time.monotonic() - began >= 0.2


def test_a_page_or_nothing_comes_instead_of_a_zip(amplitude: AmplitudeEmulator) -> None:
    page = strike(amplitude, "html")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!doctype html>")
    nothing = strike(amplitude, "empty")
    assert (nothing.status_code, nothing.content) == (200, b"")


@pytest.mark.parametrize("kind", ["flipped-gzip", "truncated-gzip"])
def test_a_broken_gzip_lies_in_a_sound_zip(amplitude: AmplitudeEmulator, kind: str) -> None:
    archive = zipfile.ZipFile(BytesIO(strike(amplitude, kind, hours={HOUR + 1}).content))
    assert archive.testzip() is None
    broken = []
    for name in archive.namelist():
        try:
            gzip.decompress(archive.read(name))
        except (zlib.error, EOFError, gzip.BadGzipFile):
            broken.append(name)
    assert broken == ["100011471/100011471_2025-12-23_9#0.json.gz"]


@pytest.mark.parametrize("size", range(1, 8))
def test_a_flipped_bit_is_never_without_effect(size: int) -> None:
    hour = ExportWindow(HOUR, HOUR)
    with AmplitudeEmulator(source(events_per_hour=size, parts_per_hour=size), clock=lambda: NOW) as amplitude:
        amplitude.faults.add(Fault("flipped-gzip", hours=hour))
        archive = zipfile.ZipFile(BytesIO(ask(amplitude, HOUR).content))
    with pytest.raises((zlib.error, EOFError, gzip.BadGzipFile)):
        gzip.decompress(archive.read(archive.namelist()[0]))


def test_a_flipped_bit_can_show_in_the_zip(amplitude: AmplitudeEmulator) -> None:
    archive = zipfile.ZipFile(BytesIO(strike(amplitude, "flipped-zip").content))
    assert archive.testzip() == "100011471/100011471_2025-12-23_8#0.json.gz"


def test_a_stranger_is_one_member_more(amplitude: AmplitudeEmulator, sound: bytes) -> None:
    assert names(strike(amplitude, "stranger", name="../../etc/passwd").content) == [
        *names(sound),
        "../../etc/passwd",
    ]


def test_a_second_project_is_one_member_more(amplitude: AmplitudeEmulator, sound: bytes) -> None:
    body = strike(amplitude, "second-app").content
    assert names(body) == [*names(sound), "100011472/100011472_2025-12-23_8#0.json.gz"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_duplicate_is_a_member_twice(amplitude: AmplitudeEmulator, sound: bytes) -> None:
    first, *rest = names(sound)
    assert names(strike(amplitude, "duplicate").content) == [first, first, *rest]


def test_a_member_can_lie_outside_the_window(amplitude: AmplitudeEmulator, sound: bytes) -> None:
    body = strike(amplitude, "outside").content
    assert names(body) == [*names(sound), "100011471/100011471_2025-12-23_10#0.json.gz"]


def test_a_bomb_is_small_and_becomes_large(amplitude: AmplitudeEmulator) -> None:
    body = strike(amplitude, "bomb", megabytes=5).content
    archive = zipfile.ZipFile(BytesIO(body))
    bomb = archive.read(archive.namelist()[-1])
    assert len(gzip.decompress(bomb)) == 5_000_000 > 900 * len(bomb)


def test_faults_wait_for_the_requests_they_are_meant_for() -> None:
    plan = FaultPlan(
        [
            Fault("cut", hours={HOUR}),
            Fault("status", hours=ExportWindow(HOUR + 2, HOUR + 3), skip=1, times=None),
            Fault("reset", min_hours=5),
        ]
    )

    def met(first: ExportHour, last: ExportHour, *, served: bool = True) -> str | None:
        window = ExportWindow(first, last)
        fault = plan.take(window, list(window) if served else [])
        return fault.label if fault else None

    assert met(HOUR, HOUR, served=False) is None
    assert met(HOUR + 1, HOUR + 1) is None
    assert met(HOUR, HOUR + 1) == "cut"
    assert met(HOUR, HOUR + 1) is None
    assert met(HOUR + 3, HOUR + 3) is None
    assert met(HOUR + 3, HOUR + 3, served=False) == "500"
    assert met(HOUR + 4, HOUR + 7) is None
    assert met(HOUR + 4, HOUR + 8) == "reset"
    assert [fault.label for fault in plan] == ["500"]
    plan.clear()
    assert list(plan) == []


def test_faults_can_be_written_on_one_line() -> None:
    assert Fault.parse("429:times=2,retry_after=1") == Fault("status", status=429, times=2, retry_after="1")
    assert Fault.parse("cut:fraction=0.3,hours=2025-12-23T08..2025-12-23T09,times=always") == Fault(
        "cut", fraction=0.3, hours=ExportWindow(HOUR, HOUR + 1), times=None
    )
    assert Fault.parse("bomb:megabytes=7") == Fault("bomb", megabytes=7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "status",
        "99",
        "cut:fraction=2",
        "cut:times=-1",
        "cut:x=1",
        "slow:seconds=nan",
        "cut:hours=x",
    ],
)
def test_a_fault_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Fault.parse(text)
