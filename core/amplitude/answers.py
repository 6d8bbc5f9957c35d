"""What the Export API's answers mean, one by one; pure, so that each row can be tested by itself.

=====================================  ====================================================
answer                                 what becomes of it
=====================================  ====================================================
200                                    an archive, or :class:`BrokenAnswer` if it is damaged
404 "Raw data files were not found."   no data, or not yet published
400                                    :class:`Overtaxed`: over 4 GB, or another bad request
504                                    :class:`Overtaxed`: timed out; asked once more first
401, 403                               :class:`ExportRefused`, at once
429, 408                               :class:`Busy`, asked again, Retry-After obeyed
other 5xx                              :class:`Failing`, likewise; perhaps one hour's fault
a redirect, anything else              :class:`ExportRefused`
=====================================  ====================================================

Source: https://amplitude.com/docs/apis/analytics/export
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from core.errors import ExportError, ExportRefused, ExportUnavailable
from core.hours import ExportWindow

#: Where Amplitude answers; analytics.amplitude.com is the web application, not the API.
BASE_URLS = {"us": "https://amplitude.com", "eu": "https://analytics.eu.amplitude.com"}

_NO_DATA = "raw data files were not found"
_LATER = "Amplitude is busy; another run can help."
_SHOWN_CHARACTERS = 200


class Busy(ExportUnavailable):
    """Asked to come back later. Transient.

    Attributes:
        retry_after_seconds: What Retry-After said, if it said something.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return str(self.args[0])


class Failing(Busy):
    """An error of the server's: of all of it, or of one hour that it cannot export. Transient."""


class Overtaxed(ExportError):
    """Perhaps too much for one request. Whether asking again could help is in ``hopeless``."""

    def __init__(self, message: str, *, hopeless: bool = False) -> None:
        super().__init__(message)
        self.hopeless = hopeless


def error_of(
    status: int, text: str, headers: Mapping[str, str], *, window: ExportWindow, host: str
) -> ExportError | None:
    """The error that an answer other than 200 stands for; None if it says that there is no data.

    Args:
        text: The beginning of its body, fit to be shown.
        headers: Of these only Retry-After, Date and Location are looked at.
    """
    said = f"Amplitude answered {status} for {window}"
    if text:
        said = f'{said}: "{text}"'
    if status == HTTPStatus.NOT_FOUND and _NO_DATA in text.lower():
        return None
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ExportRefused(
            f"{said}. {host} does not know this API key and secret key. Check both, and the region: the key "
            f"of a US project is unknown in the EU, and the other way round ({_known_hosts()})."
        )
    if status == HTTPStatus.BAD_REQUEST:
        return Overtaxed(said, hopeless=True)
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        return Overtaxed(said)
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}:
        return Busy(f"{said}. {_LATER}", retry_after(headers))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failing(f"{said}. {_LATER}", retry_after(headers))
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = _host_of(headers.get("Location", "")) or "another path"
        return ExportRefused(
            f"{said} and points to {target}. Redirects are not followed: check the base URL."
        )
    return ExportRefused(f"{said}, which the Export API never says. Check the base URL ({host}).")


def too_large(window: ExportWindow, said: str) -> str:
    """What to do about a window that one request could not carry."""
    if len(window) > 1:
        return f"{said}. {len(window)} hours are too much for one request: ask for fewer."
    return (
        f"{said}. If {window} is over 4 GB, the Export API cannot give it: take it from Amplitude's own "
        "export to S3. Otherwise another run can help."
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from either form of Retry-After; None if there is none that can be read."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        then, sent = (_aware(parsedate_to_datetime(text)) for text in (value, headers.get("Date", "")))
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, (then - sent).total_seconds())


def presentable(body: bytes, *, secrets: Iterable[str]) -> str:
    """The beginning of a foreign text: one line, no markup, and no secret should it repeat one."""
    text = body.decode("utf-8", "replace")
    for secret in sorted(filter(None, secrets), key=len, reverse=True):  # one may be a part of another
        text = text.replace(secret, "***")
    text = " ".join(re.sub(r"<[^>]*>", " ", text).split())
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _known_hosts() -> str:
    return ", ".join(f"{region.upper()}: {urlsplit(url).hostname}" for region, url in BASE_URLS.items())
