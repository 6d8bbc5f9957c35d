"""What the Export API answers, decided before anything is sent.

Source: https://amplitude.com/docs/apis/analytics/export
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from core.errors import InvalidInput
from core.hours import MAX_WINDOW_HOURS, ExportHour, ExportWindow
from emulators.amplitude.members import Member
from emulators.amplitude.source import EventSource

NOT_FOUND = "Raw data files were not found."
INVALID_KEY = "Invalid API Key"

_API_HOUR_LENGTH = len("20251223T19")

#: What one event takes in an archive; the size of an export is reckoned with it.
GZIP_BYTES_PER_EVENT = 170

#: What Amplitude would say, for answers that a fault gives.
TEXTS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: INVALID_KEY,
    404: NOT_FOUND,
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "The request timed out. Please request a smaller time range.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer without an archive."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Archive:
    """An answer with one.

    Attributes:
        hours: The hours that have data now, oldest first, each with the how-many-th time it is asked for.
        at: When it was asked for.
    """

    hours: Mapping[ExportHour, int]
    at: datetime


class ExportApi:
    """The rules of the API over one source. Safe to share between threads.

    Args:
        clock: Tells the time; aware. An hour is published from ``ExportHour.complete_at`` on.
        size_limit_bytes: A larger export is refused with 400. Sizes are reckoned from the number
            of events, at :data:`GZIP_BYTES_PER_EVENT`.
        timeout_hours: A longer window is answered with 504; None for no such limit.
    """

    def __init__(
        self,
        source: EventSource,
        *,
        api_key: str,
        secret_key: str,
        clock: Callable[[], datetime],
        size_limit_bytes: int,
        timeout_hours: int | None,
    ) -> None:
        self.source = source
        self.clock = clock
        self.size_limit_bytes = size_limit_bytes
        self.timeout_hours = timeout_hours
        self._credentials = f"{api_key}:{secret_key}".encode()
        self._asked: Counter[ExportHour] = Counter()
        self._lock = Lock()

    def refuse_stranger(self, authorization: str | None) -> Refusal | None:
        """401 without credentials, 403 with wrong ones, None with the right ones."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "basic" or not token:
            return Refusal(401, TEXTS[401])
        try:
            given = base64.b64decode(token.strip(), validate=True)
        except binascii.Error:
            return Refusal(401, TEXTS[401])
        return None if secrets.compare_digest(given, self._credentials) else Refusal(403, INVALID_KEY)

    def answer(self, window: ExportWindow) -> Refusal | Archive:
        """What a sound answer to ``window`` would be now."""
        now = self.clock()
        if self.timeout_hours is not None and len(window) > self.timeout_hours:
            return Refusal(504, TEXTS[504])
        with self._lock:
            asked = {hour: self._asked[hour] + 1 for hour in window if hour.complete_at <= now}
        counts = {hour: self.source.count(hour, at=now, request=request) for hour, request in asked.items()}
        if sum(counts.values()) * GZIP_BYTES_PER_EVENT > self.size_limit_bytes:
            limit = f"{self.size_limit_bytes / (1 << 30):.3g} GB"
            return Refusal(
                400, f"The export exceeds the size limit of {limit}. Please request a smaller time range."
            )
        hours = {hour: asked[hour] for hour, count in counts.items() if count}
        return Archive(hours, now) if hours else Refusal(404, NOT_FOUND)

    def remember(self, window: ExportWindow) -> None:
        """Count a request that was answered with all there is; hours not yet published do not count."""
        now = self.clock()
        with self._lock:
            self._asked.update(hour for hour in window if hour.complete_at <= now)

    def members(self, archive: Archive) -> Iterator[Member]:
        """An archive's files, an hour at a time."""
        for hour, request in archive.hours.items():
            yield from self.source.members(hour, at=archive.at, request=request)


def read_window(parameters: Mapping[str, str]) -> ExportWindow | Refusal:
    """The window that a query asks for, or the 400 that it deserves."""
    hours: list[ExportHour] = []
    for name in ("start", "end"):
        text = parameters.get(name)
        if text is None:
            return Refusal(400, f"Missing required parameter: {name}")
        try:
            hour = ExportHour.parse(text)
        except InvalidInput:
            hour = None
        if hour is None or hour.api != text:
            return Refusal(
                400, f"Invalid {name}: {text[: _API_HOUR_LENGTH * 2]!r}. Expected format: YYYYMMDDTHH"
            )
        hours.append(hour)
    try:
        window = ExportWindow(*hours)
    except InvalidInput as error:
        return Refusal(400, str(error))
    if len(window) > MAX_WINDOW_HOURS:
        return Refusal(400, "The requested time range exceeds 365 days.")
    return window
