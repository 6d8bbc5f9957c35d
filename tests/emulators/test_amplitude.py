"""The Export API's stand-in answers as the documentation says, over real HTTP."""

from __future__ import annotations

import gzip
import json
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.amplitude.archive import ArchiveLimits, check_archive, gunzip_member, read_directory
from core.hours import ExportHour, ExportWindow
from emulators.amplitude import AmplitudeEmulator, Change, EventSource, Fault, Layout
from emulators.amplitude.truth import Truth, truth_of

NOW = datetime(2025, 12, 24, 12, tzinfo=UTC)
HOUR = ExportHour.parse("2025-12-23T08")


def source(**settings: Any) -> EventSource:
    return EventSource(**{"seed": 7, "events_per_hour": 20, "constant": True} | settings)


@pytest.fixture
def amplitude() -> Iterator[AmplitudeEmulator]:
    with AmplitudeEmulator(source(), clock=lambda: NOW) as emulator:
        yield emulator


def ask(
    amplitude: AmplitudeEmulator,
    first: str | ExportHour,
    last: str | ExportHour | None = None,
    **given: Any,
) -> httpx.Response:
    start, end = (hour.api if isinstance(hour, ExportHour) else hour for hour in (first, last or first))
    options: dict[str, Any] = {
        "auth": amplitude.auth,
        "params": {"start": start, "end": end},
        "timeout": 20,
    } | given
    return httpx.get(f"{amplitude.url}/api/2/export", verify=False, **options)  # no need to load certificates


def unpack(body: bytes) -> dict[str, list[bytes]]:
    """The lines of each member, by name."""
    with zipfile.ZipFile(BytesIO(body)) as archive:
        assert archive.testzip() is None
        return {
            name: list(filter(None, gzip.decompress(archive.read(name)).split(b"\n")))
            for name in archive.namelist()
        }


def arrived(hour: ExportHour, body: bytes) -> list[Truth]:
    return [truth_of(hour, line) for lines in unpack(body).values() for line in lines]


def test_without_credentials_the_answer_is_401(amplitude: AmplitudeEmulator) -> None:
    answer = ask(amplitude, HOUR, auth=None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("header", ["Bearer x", "Basic", "Basic %%%"])
def test_what_is_not_basic_auth_is_no_credentials(amplitude: AmplitudeEmulator, header: str) -> None:
    assert ask(amplitude, HOUR, auth=None, headers={"Authorization": header}).status_code == 401


def test_wrong_credentials_are_refused_with_amplitudes_words(amplitude: AmplitudeEmulator) -> None:
    answer = ask(amplitude, HOUR, auth=("demo-api-key", "wrong"))
    assert (answer.status_code, answer.text) == (403, "Invalid API Key")


def test_another_path_is_not_found(amplitude: AmplitudeEmulator) -> None:
    answer = httpx.get(f"{amplitude.url}/api/2/exports", auth=amplitude.auth)
    assert (answer.status_code, answer.text) == (404, "Not Found")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"start": "20251223T08"},
        {"end": "20251223T08"},
        {"start": "2025-12-23T08", "end": "20251223T08"},
        {"start": "20251223T08", "end": "20251223T24"},
        {"start": "20251223", "end": "20251223T08"},
        {"start": "", "end": "20251223T08"},
        {"start": "20251223T08", "end": "20251223T07"},
        {"start": "20241222T08", "end": "20251223T08"},
    ],
)
def test_a_window_that_cannot_be_is_400(amplitude: AmplitudeEmulator, params: dict[str, str]) -> None:
    assert ask(amplitude, HOUR, params=params).status_code == 400
    assert amplitude.requests[-1].window is None


def test_start_and_end_are_both_included(amplitude: AmplitudeEmulator) -> None:
    assert list(unpack(ask(amplitude, "20251223T08", "20251223T10").content)) == [
        f"100011471/100011471_2025-12-23_{hour}#{part}.json.gz" for hour in (8, 9, 10) for part in (0, 1)
    ]


def test_365_days_are_allowed() -> None:
    with AmplitudeEmulator(source(last_hour=HOUR, first_hour=HOUR), clock=lambda: NOW) as amplitude:
        last = HOUR + (365 * 24 - 1)
        assert ask(amplitude, HOUR, last).status_code == 200


def test_an_hour_is_published_three_hours_after_its_start() -> None:
    now = HOUR.complete_at - timedelta(microseconds=1)
    with AmplitudeEmulator(source(), clock=lambda: now) as amplitude:
        answer = ask(amplitude, HOUR)
        assert (answer.status_code, answer.text) == (404, "Raw data files were not found.")
        amplitude.clock = lambda: HOUR.complete_at
        assert ask(amplitude, HOUR).status_code == 200


def test_hours_not_yet_published_are_absent_from_a_good_archive() -> None:
    with AmplitudeEmulator(source(), clock=lambda: (HOUR + 1).complete_at) as amplitude:
        names = unpack(ask(amplitude, HOUR, HOUR + 5).content)
    assert {name.split("_")[2].split("#")[0] for name in names} == {"8", "9"}


def test_hours_without_data_are_absent_and_all_of_them_are_404() -> None:
    quiet = source(quiet_hours={HOUR, HOUR + 1})
    with AmplitudeEmulator(quiet, clock=lambda: NOW) as amplitude:
        assert ask(amplitude, HOUR, HOUR + 1).text == "Raw data files were not found."
        assert {name.split("_")[2] for name in unpack(ask(amplitude, HOUR, HOUR + 2).content)} == {
            "10#0.json.gz",
            "10#1.json.gz",
        }


def test_an_export_over_the_size_limit_is_400_and_half_of_it_is_not() -> None:
    with AmplitudeEmulator(source(), clock=lambda: NOW, size_limit_bytes=50 * 170) as amplitude:
        answer = ask(amplitude, HOUR, HOUR + 3)
        assert answer.status_code == 400
        assert "exceeds the size limit" in answer.text
        assert ask(amplitude, HOUR, HOUR + 1).status_code == 200


def test_a_window_that_takes_too_long_is_504() -> None:
    with AmplitudeEmulator(source(), clock=lambda: NOW, timeout_hours=2) as amplitude:
        assert ask(amplitude, HOUR, HOUR + 2).status_code == 504
        assert ask(amplitude, HOUR, HOUR + 1).status_code == 200


LAYOUTS = [
    Layout(packing, folder=folder, descriptors=descriptors, zip64=zip64)  # type: ignore[arg-type]
    for packing, folder, descriptors, zip64 in product(
        ("stored", "deflated"), (True, False), (True, False), (True, False)
    )
] + [Layout("mixed")]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_every_layout_is_a_sound_zip_with_all_events(layout: Layout, tmp_path: Path) -> None:
    window = ExportWindow(HOUR, HOUR + 3)
    with AmplitudeEmulator(
        source(parts_per_hour=4, quirks=True), clock=lambda: NOW, layout=layout
    ) as amplitude:
        body = ask(amplitude, HOUR, HOUR + 3).content
        truth = [line for hour in window for line in amplitude.truth(hour)]
    path = tmp_path / "export.zip"
    path.write_bytes(body)
    check_archive(path, limits=ArchiveLimits())
    directory = read_directory(path, window)
    assert tuple(directory.hours) == tuple(window)
    facts = [
        gunzip_member(path, member, limits=ArchiveLimits(), json_path=None)
        for members in directory.hours.values()
        for member in members
    ]
    assert sum(fact.events for fact in facts) == len(truth) == 80
    assert sorted(truth) == sorted(
        Truth(event["uuid"], event["server_upload_time"][:13].replace(" ", "T"), truth_of(HOUR, line).sha256)
        for lines in unpack(body).values()
        for line in lines
        for event in [json.loads(line)]
    )


def test_the_mixed_layout_has_every_form_in_it() -> None:
    with AmplitudeEmulator(source(parts_per_hour=4), clock=lambda: NOW, layout=Layout("mixed")) as amplitude:
        archive = zipfile.ZipFile(BytesIO(ask(amplitude, HOUR, HOUR + 3).content))
    infos = archive.infolist()
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    assert {info.flag_bits & 8 for info in infos} == {0, 8}
    assert {"/" in info.filename for info in infos} == {True, False}
    assert {bool(info.extra) for info in infos} == {True, False}


@pytest.mark.parametrize("transfer", ["length", "chunked", "close"])
def test_the_length_of_the_body_is_told_as_set(transfer: Any) -> None:
    with AmplitudeEmulator(source(), clock=lambda: NOW, transfer=transfer) as amplitude:
        answer = ask(amplitude, HOUR)
        assert arrived(HOUR, answer.content) == amplitude.source.truth(HOUR)
    assert ("Content-Length" in answer.headers) == (transfer == "length")
    assert (answer.headers.get("Transfer-Encoding") == "chunked") == (transfer == "chunked")


def test_a_connection_serves_many_requests(amplitude: AmplitudeEmulator) -> None:
    with httpx.Client(auth=amplitude.auth) as client:
        streams = set()
        for status in (200, 404, 200):
            start = "20240101T00" if status == 404 else HOUR.api
            with client.stream(
                "GET", f"{amplitude.url}/api/2/export", params={"start": start, "end": start}
            ) as answer:
                answer.read()
                assert answer.status_code == status
                streams.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(streams) == 1


def test_requests_are_answered_side_by_side() -> None:
    slow = Fault("slow", times=None, seconds=0.4)
    with AmplitudeEmulator(source(), clock=lambda: NOW, faults=[slow]) as amplitude:
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            bodies = list(pool.map(lambda number: ask(amplitude, HOUR + number % 2).content, range(8)))
        assert time.monotonic() - began < 8 * 0.4
        assert amplitude.busiest > 1
        assert len(amplitude.requests) == 8
    assert len(set(bodies)) == 2


def test_requests_are_logged_in_order(amplitude: AmplitudeEmulator) -> None:
    amplitude.faults.add(Fault("status", status=503))
    ask(amplitude, HOUR, auth=None)
    ask(amplitude, HOUR)
    ask(amplitude, HOUR)
    log = [(str(request.window), request.status, request.fault) for request in amplitude.requests]
    assert log == [(str(HOUR), 401, None), (str(HOUR), 503, "503"), (str(HOUR), 200, None)]


def test_a_change_shows_from_the_nth_answer_on() -> None:
    late = Change(hours={HOUR}, add=5, from_request=2)
    with AmplitudeEmulator(source(changes=[late]), clock=lambda: NOW) as amplitude:
        amplitude.faults.add(Fault("status", status=503))
        statuses, counts = [], []
        for _ in range(4):
            truth = amplitude.truth(HOUR)
            answer = ask(amplitude, HOUR)
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                counts.append(len(truth))
                assert arrived(HOUR, answer.content) == truth
    assert statuses == [503, 200, 200, 200]
    assert counts == [20, 25, 25]


def test_a_change_shows_from_an_instant_on() -> None:
    gone = Change(hours={HOUR}, gone=True, after=NOW)
    with AmplitudeEmulator(source(changes=[gone]), clock=lambda: NOW - timedelta(seconds=1)) as amplitude:
        assert ask(amplitude, HOUR).status_code == 200
        amplitude.clock = lambda: NOW
        assert ask(amplitude, HOUR).text == "Raw data files were not found."
        assert ask(amplitude, HOUR + 1).status_code == 200
        assert amplitude.truth(HOUR) == []


def test_shuffled_answers_hold_the_same_events_in_another_order() -> None:
    with AmplitudeEmulator(source(shuffle=True, parts_per_hour=3), clock=lambda: NOW) as amplitude:
        first, second = (ask(amplitude, HOUR).content for _ in range(2))
        truth = amplitude.source.truth(HOUR)
    assert first != second
    assert arrived(HOUR, first) != arrived(HOUR, second)
    assert sorted(arrived(HOUR, first)) == sorted(arrived(HOUR, second)) == sorted(truth)


def test_starting_and_stopping_is_quick_and_frees_the_port() -> None:
    began = time.monotonic()
    with AmplitudeEmulator(source()) as amplitude:
        port = int(amplitude.url.rsplit(":", 1)[1])
        client = httpx.Client()
        client.get(amplitude.url)
        with pytest.raises(OSError, match="in use"):
            AmplitudeEmulator(source(), port=port).start()
    with AmplitudeEmulator(source(), port=port) as again:
        assert again.url == amplitude.url
    client.close()
    assert time.monotonic() - began < 2


def test_stopping_does_not_wait_for_a_slow_answer() -> None:
    with AmplitudeEmulator(source(), clock=lambda: NOW, faults=[Fault("slow", seconds=60)]) as amplitude:
        with pytest.raises(httpx.ReadTimeout):
            ask(amplitude, HOUR, timeout=0.1)
        began = time.monotonic()
    assert time.monotonic() - began < 2
