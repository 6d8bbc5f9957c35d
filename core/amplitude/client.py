"""The door to Amplitude's Export API. httpx never shows outside of it.

Source: https://amplitude.com/docs/apis/analytics/export
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from core.amplitude.answers import Busy, Overtaxed, error_of, presentable, too_large
from core.amplitude.archive import ArchiveLimits, check_archive
from core.errors import (
    BrokenAnswer,
    ExportError,
    ExportRefused,
    ExportTooLarge,
    ExportUnavailable,
    is_transient,
)
from core.hours import ExportWindow

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """How long and how often the client tries.

    Attributes:
        attempts: Requests for one window, all told, before its error is passed on. The task around
            it tries three times, so one window costs at most three times as many.
        read_timeout_seconds: The longest silence. The first byte of a large export takes minutes.
        longest_wait_seconds: The longest pause between two attempts, where Retry-After says nothing.
        longest_retry_after_seconds: The longest Retry-After that is obeyed; a longer one ends the call.
    """

    attempts: int = 4
    connect_timeout_seconds: float = 10
    read_timeout_seconds: float = 600
    longest_wait_seconds: float = 60
    longest_retry_after_seconds: float = 300


@dataclass(frozen=True, slots=True)
class Download:
    """An archive that arrived whole.

    Attributes:
        exported_at: UTC, just before the request that succeeded was sent.
    """

    path: Path
    exported_at: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True)
class NoData:
    """Amplitude has no files for the window: its hours were quiet, or are not yet published."""

    exported_at: datetime


class ExportClient:
    """One project's exports, over one pool of connections. Safe to use from several threads.

    Args:
        api_key: The project's API key.
        secret_key: The project's secret key.
        base_url: Scheme and host, see :data:`core.amplitude.answers.BASE_URLS`.
        sleep: Waits between attempts; a test passes its own.

    Attributes:
        requests: How many were sent so far.
    """

    def __init__(
        self,
        *,
        api_key: str,
        secret_key: str,
        base_url: str,
        limits: ClientLimits | None = None,
        archive_limits: ArchiveLimits | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = limits or ClientLimits()
        self._archive_limits = archive_limits or ArchiveLimits()
        token = base64.b64encode(f"{api_key}:{secret_key}".encode()).decode()
        self._secrets = (api_key, secret_key, token)
        self._sleep = sleep
        self.requests = 0
        self._http = httpx.Client(
            base_url=base_url,
            auth=(api_key, secret_key),
            # An archive is compressed already, and its length must mean what it says.
            headers={"Accept-Encoding": "identity", "User-Agent": "amplitude-to-snowflake"},
            timeout=httpx.Timeout(
                self._limits.read_timeout_seconds, connect=self._limits.connect_timeout_seconds
            ),
            follow_redirects=False,
        )

    @property
    def host(self) -> str:
        """Where the exports come from: ``amplitude.com``, with the port if it is an unusual one."""
        return self._http.base_url.netloc.decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def download(self, window: ExportWindow, path: Path, *, clock: Clock) -> Download | NoData:
        """Fetch a window's archive to ``path`` and make sure that it arrived whole.

        Guarantees: the body streams to disk, never whole in memory; a :class:`Download` has passed
        :func:`check_archive`. Safe to repeat: every attempt writes ``path`` anew.

        Raises:
            ExportUnavailable: Amplitude stayed busy or silent through all attempts;
                :class:`core.amplitude.answers.Failing` if it answered with errors. Transient.
            BrokenAnswer: Every answer arrived damaged. Transient.
            ExportTooLarge: The window is more than one request can carry. Permanent: halve it.
            ExportRefused: Wrong credentials, or an answer that nobody expects. Permanent.
            StrangeArchive: More members or bytes than the limits allow. Permanent.
            OSError: The disk is full or refuses.
        """
        retrying = Retrying(
            retry=retry_if_exception(_worth_asking_again),
            stop=lambda state: self._enough(state, window),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._attempt, window, path, clock)
        except Overtaxed as error:
            raise ExportTooLarge(too_large(window, str(error))) from None

    def _attempt(self, window: ExportWindow, path: Path, clock: Clock) -> Download | NoData:
        exported_at = clock()
        size_bytes = self._fetch(window, path)
        if size_bytes is None:
            return NoData(exported_at)
        check_archive(path, limits=self._archive_limits)
        return Download(path, exported_at, size_bytes)

    def _fetch(self, window: ExportWindow, path: Path) -> int | None:
        """One request. The size of the body now at ``path``, or None if there is no data."""
        self.requests += 1
        try:
            return self._stream(window, path)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            failure = self._failure(error, window)
        # httpx's error holds the URL and the Authorization header. Raised here, ours is not chained to it.
        raise failure

    def _stream(self, window: ExportWindow, path: Path) -> int | None:
        span = {"start": window.first.api, "end": window.last.api}
        size_bytes = 0
        with self._http.stream("GET", "/api/2/export", params=span) as answer:
            if answer.status_code != HTTPStatus.OK:
                text = presentable(_beginning(answer), secrets=self._secrets)
                error = error_of(answer.status_code, text, answer.headers, window=window, host=self.host)
                if error is not None:
                    raise error
                return None
            with path.open("wb") as target:
                # Without a size httpx hands on what the socket gave, and copies nothing.
                for chunk in answer.iter_raw():
                    target.write(chunk)
                    size_bytes += len(chunk)
        stated = answer.headers.get("Content-Length", "")
        if stated.isdecimal() and int(stated) != size_bytes:
            msg = f"The archive of {window} broke off after {size_bytes:,} of {int(stated):,} bytes."
            raise BrokenAnswer(msg)
        if not size_bytes:
            msg = f"Amplitude answered 200 for {window} and sent nothing."
            raise BrokenAnswer(msg)
        return size_bytes

    def _failure(self, error: Exception, window: ExportWindow) -> ExportError:
        """What an error of httpx means."""
        kind = type(error).__name__
        match error:
            case httpx.ReadTimeout():
                silent = f"{self._limits.read_timeout_seconds:.0f} s"
                return Overtaxed(f"{self.host} was silent for {silent} over {window}")
            case httpx.UnsupportedProtocol() | httpx.InvalidURL():
                return ExportRefused(
                    f"{window} cannot be asked for at {self.host} ({kind}). Check the base URL."
                )
            case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout() | httpx.ProxyError():
                msg = f"{self.host} cannot be reached for {window} ({kind}). Check network and base URL."
                return ExportUnavailable(msg)
            case _:
                return BrokenAnswer(
                    f"The connection to {self.host} broke while it exported {window} ({kind})."
                )

    def _enough(self, state: RetryCallState, window: ExportWindow) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Overtaxed) and len(window) > 1:
            return state.attempt_number >= min(
                2, self._limits.attempts
            )  # halving helps more than asking again
        if (
            isinstance(error, Busy)
            and (error.retry_after_seconds or 0) > self._limits.longest_retry_after_seconds
        ):
            return True
        return state.attempt_number >= self._limits.attempts

    def _wait(self, state: RetryCallState) -> float:
        """What Retry-After says, otherwise exponential with full jitter."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Busy) and error.retry_after_seconds is not None:
            return error.retry_after_seconds
        return wait_random_exponential(multiplier=1, max=self._limits.longest_wait_seconds)(state)


def _beginning(answer: httpx.Response) -> bytes:
    """The first bytes of a body; what the status says counts even if they do not come, but for a 404."""
    try:
        return next(answer.iter_raw(4096), b"")
    except (httpx.HTTPError, httpx.StreamError):
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise
        return b""


def _worth_asking_again(error: BaseException) -> bool:
    return is_transient(error) or (isinstance(error, Overtaxed) and not error.hopeless)
