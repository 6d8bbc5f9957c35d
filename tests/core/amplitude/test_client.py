"""The door to the Export API over real HTTP: every answer, every break, and nothing let out."""

from __future__ import annotations

import base64
import errno
import logging
import pickle
import traceback
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from core.amplitude.archive import ArchiveLimits
from core.amplitude.client import ClientLimits, Download, ExportClient, NoData
from core.errors import (
    BrokenAnswer,
    ExportRefused,
    ExportTooLarge,
    ExportUnavailable,
    PipelineError,
    StrangeArchive,
    is_transient,
)
from core.hours import ExportWindow
from tests.core.amplitude.answering import Answer, Answering, unused_url
from tests.core.amplitude.archives import DAY, ONE_HOUR, gzipped, name_of, zipped

API_KEY = "k3y-of-a-project"
SECRET_KEY = "s3cr3t-of-a-project"
TOKEN = base64.b64encode(f"{API_KEY}:{SECRET_KEY}".encode()).decode()

ARCHIVE = zipped([(name_of(), gzipped())])
GOOD = Answer(body=ARCHIVE)
NO_DATA = Answer(404, b"Raw data files were not found.")
BEGAN = datetime(2025, 12, 23, 22, 15, tzinfo=UTC)
PATIENT = ClientLimits(attempts=3)
HASTY = ClientLimits(attempts=2, read_timeout_seconds=0.2)


class Ticking:
    """A clock that goes on by a minute each time it is read."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self) -> datetime:
        self.read += 1
        return BEGAN + timedelta(minutes=self.read - 1)


def client_for(
    url: str, waits: list[float], limits: ClientLimits, archive_limits: ArchiveLimits | None = None
) -> ExportClient:
    return ExportClient(
        api_key=API_KEY,
        secret_key=SECRET_KEY,
        base_url=url,
        limits=limits,
        archive_limits=archive_limits,
        sleep=waits.append,
    )


class Asked:
    """What came of asking for a window once: the result or the error, and what it took."""

    def __init__(
        self,
        *answers: Answer,
        path: Path,
        window: ExportWindow = ONE_HOUR,
        limits: ClientLimits = PATIENT,
        archive_limits: ArchiveLimits | None = None,
        url: str | None = None,
    ) -> None:
        self.path = path / "archive.zip"
        self.waits: list[float] = []
        self.result: Download | NoData | None = None
        self.error: BaseException | None = None
        self.clock = Ticking()
        with (
            Answering(*answers) as server,
            client_for(url or server.url, self.waits, limits, archive_limits) as client,
        ):
            try:
                self.result = client.download(window, self.path, clock=self.clock)
            except Exception as error:  # noqa: BLE001 - the tests say which one it must be
                own = error.__traceback__
                self.error = error.with_traceback(own and own.tb_next)  # this frame knows the answers
            self.counted = client.requests
        self.questions = server.asked

    @property
    def requests(self) -> int:
        return len(self.questions)

    def failed(self, kind: type[PipelineError]) -> str:
        """The message of exactly this kind of error, from which nothing has leaked."""
        assert isinstance(self.error, kind), repr(self.error)
        assert_discreet(self.error)
        return str(self.error)


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An error and everything that hangs on it, shown in a traceback or not."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [other for other in (one.__cause__, one.__context__) if other is not None]


def assert_discreet(error: BaseException) -> None:
    """No secret, URL or header in what is shown, logged or sent."""
    for one in chain_of(error):
        if isinstance(one, PipelineError):
            for text in (str(one), repr(one), repr(vars(one))):
                for forbidden in (API_KEY, SECRET_KEY, TOKEN, "Authorization", "http://", "/api/2/export"):
                    assert forbidden not in text
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    for secret in (API_KEY, SECRET_KEY, TOKEN):
        assert secret not in shown
        assert secret.encode() not in pickle.dumps(error)


# 200


def test_an_archive_is_fetched_whole(tmp_path: Path) -> None:
    asked = Asked(GOOD, path=tmp_path)
    assert asked.result == Download(asked.path, BEGAN, len(ARCHIVE))
    assert asked.path.read_bytes() == ARCHIVE
    assert (asked.requests, asked.counted, asked.waits) == (1, 1, [])


def test_the_request_is_what_the_api_takes(tmp_path: Path) -> None:
    (question,) = Asked(GOOD, path=tmp_path, window=DAY).questions
    assert question.path == "/api/2/export"
    assert question.parameters == {"start": "20251223T00", "end": "20251223T23"}
    assert question.headers["Authorization"] == f"Basic {TOKEN}"
    assert question.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("transfer", ["length", "chunked", "close"])
def test_the_end_may_be_told_in_any_way(transfer: Any, tmp_path: Path) -> None:
    assert isinstance(Asked(Answer(body=ARCHIVE, transfer=transfer), path=tmp_path).result, Download)


BROKEN = [
    pytest.param(Answer(body=b"<h1>We will be right back</h1>"), id="a page"),
    pytest.param(Answer(), id="nothing"),
    pytest.param(Answer(transfer="close"), id="nothing, without a length"),
    pytest.param(Answer(body=ARCHIVE[:-1]), id="an archive cut at its source"),
    pytest.param(Answer(body=ARCHIVE[:100], length=len(ARCHIVE)), id="cut, with a length"),
    pytest.param(Answer(body=ARCHIVE[:100], transfer="chunked-cut"), id="cut, chunked"),
    pytest.param(Answer(body=ARCHIVE[:100], transfer="close"), id="cut, without a length"),
    pytest.param(
        Answer(body=ARCHIVE, transfer="chunked", headers={"Content-Length": str(len(ARCHIVE) + 1)}),
        id="shorter than its length, in sound chunks",
    ),
    pytest.param(Answer(hang_up=True), id="no answer"),
]


@pytest.mark.parametrize("answer", BROKEN)
def test_a_broken_answer_is_asked_for_again_and_then_passed_on(answer: Answer, tmp_path: Path) -> None:
    asked = Asked(answer, path=tmp_path)
    asked.failed(BrokenAnswer)
    assert asked.error is not None
    assert is_transient(asked.error)
    assert asked.requests == asked.counted == PATIENT.attempts
    assert len(asked.waits) == PATIENT.attempts - 1


@pytest.mark.parametrize("answer", BROKEN)
def test_a_broken_answer_that_heals_is_none(answer: Answer, tmp_path: Path) -> None:
    asked = Asked(answer, GOOD, path=tmp_path)
    assert asked.path.read_bytes() == ARCHIVE
    assert asked.requests == 2
    # Taken just before the request that succeeded, not before the first one.
    assert asked.result == Download(asked.path, BEGAN + timedelta(minutes=1), len(ARCHIVE))
    assert asked.clock.read == 2


def test_a_longer_answer_before_leaves_nothing_behind_a_shorter_one(tmp_path: Path) -> None:
    asked = Asked(Answer(body=b"x" * 10_000), GOOD, path=tmp_path)
    assert asked.path.read_bytes() == ARCHIVE


def test_an_archive_that_holds_too_much_is_not_asked_for_again(tmp_path: Path) -> None:
    asked = Asked(GOOD, path=tmp_path, archive_limits=ArchiveLimits(max_members=0))
    asked.failed(StrangeArchive)
    assert asked.requests == 1


def test_the_body_streams_to_disk(tmp_path: Path) -> None:
    large = tmp_path / "large.zip"
    with ZipFile(large, "w") as archive, archive.open(name_of(), "w") as member:
        for _ in range(64):
            member.write(b"\0" * (1 << 20))
    tracemalloc.start()
    try:
        asked = Asked(Answer(body=large), path=tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(asked.result, Download)
    assert asked.result.size_bytes == large.stat().st_size > 64 << 20
    assert peak < 8 << 20


# No data


def test_no_files_is_no_data(tmp_path: Path) -> None:
    asked = Asked(NO_DATA, path=tmp_path)
    assert asked.result == NoData(BEGAN)
    assert (asked.requests, asked.path.exists()) == (1, False)


def test_another_404_is_refused_at_once(tmp_path: Path) -> None:
    asked = Asked(Answer(404, b"Not Found"), path=tmp_path)
    asked.failed(ExportRefused)
    assert asked.requests == 1


def test_a_404_whose_text_does_not_come_says_nothing_and_is_asked_again(tmp_path: Path) -> None:
    """Its text decides: no data, or an address that is not Amplitude's."""
    cut = Answer(404, b"", length=28)
    asked = Asked(cut, NO_DATA, path=tmp_path)
    assert isinstance(asked.result, NoData)
    assert asked.requests == 2


# Too much


def test_a_400_is_not_asked_again_and_shows_its_text(tmp_path: Path) -> None:
    asked = Asked(Answer(400, b"Start must be before end"), path=tmp_path)
    message = asked.failed(ExportTooLarge)
    assert "Start must be before end" in message
    assert "export to S3" in message
    assert asked.requests == 1


@pytest.mark.parametrize(("window", "requests"), [(ONE_HOUR, PATIENT.attempts), (DAY, 2)])
def test_a_504_is_asked_once_more_before_it_is_halved(
    window: ExportWindow, requests: int, tmp_path: Path
) -> None:
    asked = Asked(Answer(504), path=tmp_path, window=window)
    asked.failed(ExportTooLarge)
    assert asked.requests == requests


@pytest.mark.parametrize("silent_after", [0, 50], ids=["from the start", "amid the body"])
def test_silence_is_too_much_for_one_request(silent_after: int, tmp_path: Path) -> None:
    asked = Asked(Answer(body=ARCHIVE, silent_after=silent_after), path=tmp_path, window=DAY, limits=HASTY)
    assert "silent" in asked.failed(ExportTooLarge)
    assert asked.requests == 2


def test_a_504_that_heals_is_none(tmp_path: Path) -> None:
    assert isinstance(Asked(Answer(504), GOOD, path=tmp_path, window=DAY).result, Download)


# Refused


@pytest.mark.parametrize("status", [401, 403])
def test_unknown_keys_are_refused_at_once(status: int, tmp_path: Path) -> None:
    asked = Asked(Answer(status, b"Invalid API Key"), path=tmp_path)
    assert "Invalid API Key" in asked.failed(ExportRefused)
    assert asked.error is not None
    assert not is_transient(asked.error)
    assert (asked.requests, asked.waits) == (1, [])


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_its_target_gets_no_credentials(status: int, tmp_path: Path) -> None:
    with Answering(GOOD) as elsewhere:
        asked = Asked(Answer(status, headers={"Location": f"{elsewhere.url}/api/2/export"}), path=tmp_path)
        assert elsewhere.asked == []
    assert "127.0.0.1" in asked.failed(ExportRefused)
    assert asked.requests == 1


# Busy


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_busy_is_asked_again_as_often_as_allowed(status: int, tmp_path: Path) -> None:
    asked = Asked(Answer(status, b"Too many"), path=tmp_path)
    message = asked.failed(ExportUnavailable)
    assert str(status) in message
    assert "Too many" in message
    assert asked.requests == asked.counted == PATIENT.attempts


def test_the_number_of_requests_is_bounded_as_it_comes(tmp_path: Path) -> None:
    asked = Asked(Answer(503), path=tmp_path, limits=ClientLimits())
    asked.failed(ExportUnavailable)
    assert asked.requests == ClientLimits().attempts <= 5  # the task around it multiplies


def test_busy_that_heals_is_none(tmp_path: Path) -> None:
    asked = Asked(Answer(429), Answer(503), GOOD, path=tmp_path)
    assert asked.result == Download(asked.path, BEGAN + timedelta(minutes=2), len(ARCHIVE))


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "7"},
        {"Retry-After": "Tue, 23 Dec 2025 22:00:07 GMT", "Date": "Tue, 23 Dec 2025 22:00:00 GMT"},
    ],
    ids=["seconds", "date"],
)
def test_retry_after_is_obeyed_in_both_forms(headers: dict[str, str], tmp_path: Path) -> None:
    asked = Asked(Answer(429, headers=headers), path=tmp_path)
    assert asked.waits == [7, 7]


def test_a_retry_after_that_is_too_long_ends_the_call(tmp_path: Path) -> None:
    seconds = int(PATIENT.longest_retry_after_seconds)
    asked = Asked(Answer(429, headers={"Retry-After": str(seconds)}), GOOD, path=tmp_path)
    assert asked.waits == [seconds]
    asked = Asked(Answer(429, headers={"Retry-After": str(seconds + 1)}), GOOD, path=tmp_path)
    asked.failed(ExportUnavailable)
    assert (asked.requests, asked.waits) == (1, [])


def test_otherwise_waits_are_random_and_grow_up_to_a_limit(tmp_path: Path) -> None:
    limits = ClientLimits(attempts=12, longest_wait_seconds=20)
    runs = [Asked(Answer(503), path=tmp_path, limits=limits).waits for _ in range(3)]
    for waits in runs:
        assert all(0 <= wait <= min(2**number, 20) for number, wait in enumerate(waits))
    assert len({tuple(waits) for waits in runs}) == 3  # two clients do not come back together
    assert max(max(waits) for waits in runs) > 4


# Out of reach


def test_nobody_there_is_transient_and_says_what_to_check(tmp_path: Path) -> None:
    url = unused_url()
    asked = Asked(GOOD, path=tmp_path, url=url)
    message = asked.failed(ExportUnavailable)
    assert url.removeprefix("http://") in message
    assert "cannot be reached" in message
    assert asked.counted == PATIENT.attempts


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1"])
def test_an_address_that_is_none_is_refused_at_once(url: str, tmp_path: Path) -> None:
    asked = Asked(GOOD, path=tmp_path, url=url)
    asked.failed(ExportRefused)
    assert asked.counted == 1


def test_a_full_disk_is_the_disk_s_error(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "archive.zip").symlink_to(full)
    asked = Asked(GOOD, path=tmp_path)
    assert isinstance(asked.error, OSError)
    assert asked.error.errno == errno.ENOSPC
    assert asked.requests == 1


# Nothing let out


@pytest.mark.parametrize(
    ("answer", "limits"),
    [(Answer(hang_up=True), PATIENT), (Answer(body=ARCHIVE, silent_after=0), HASTY), (None, PATIENT)],
    ids=["broken", "silent", "out of reach"],
)
def test_no_error_of_httpx_hangs_on_ours(answer: Answer | None, limits: ClientLimits, tmp_path: Path) -> None:
    url = None if answer else unused_url()
    asked = Asked(answer or GOOD, path=tmp_path, limits=limits, url=url)
    assert asked.error is not None
    origins = {type(one).__module__.partition(".")[0] for one in chain_of(asked.error)}
    assert origins.isdisjoint({"httpx", "httpcore", "h11"})


def test_an_error_of_httpx_would_have_carried_the_credentials() -> None:
    with client_for(unused_url(), [], PATIENT) as client, pytest.raises(Exception, match="refused") as error:
        client._http.get("/api/2/export")
    request: Any = vars(error.value)["_request"]
    assert request.headers["Authorization"] == f"Basic {TOKEN}"


@pytest.mark.parametrize("status", [400, 403, 404, 429, 504])
def test_an_answer_that_repeats_the_keys_is_not_repeated(status: int, tmp_path: Path) -> None:
    text = f"Invalid API Key {API_KEY}, secret <b>{SECRET_KEY}</b>".encode()
    asked = Asked(Answer(status, text), path=tmp_path)
    assert asked.error is not None
    assert_discreet(asked.error)
    assert "Invalid API Key ***" in str(asked.error)


def test_an_answer_that_repeats_the_header_is_not_repeated(tmp_path: Path) -> None:
    asked = Asked(Answer(403, echo=True), path=tmp_path)
    asked.failed(ExportRefused)


def test_nothing_is_logged_that_must_not_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Asked(Answer(503), Answer(hang_up=True), GOOD, path=tmp_path)
    assert caplog.records
    for secret in (API_KEY, SECRET_KEY, TOKEN):
        assert secret not in caplog.text


def test_a_client_does_not_show_its_keys() -> None:
    with client_for("http://127.0.0.1:9", [], PATIENT) as client:
        assert client.host == "127.0.0.1:9"
        assert API_KEY not in repr(client)
        assert SECRET_KEY not in repr(client)


# Several at once


def test_one_client_serves_several_threads(tmp_path: Path) -> None:
    with (
        Answering(GOOD) as server,
        client_for(server.url, [], PATIENT) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        paths = [tmp_path / f"{number}.zip" for number in range(12)]
        results = list(pool.map(lambda path: client.download(ONE_HOUR, path, clock=Ticking()), paths))
    assert results == [Download(path, BEGAN, len(ARCHIVE)) for path in paths]
    assert len(server.asked) == 12
