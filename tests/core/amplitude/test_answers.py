"""What the Export API's answers mean, row by row."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.amplitude.answers import (
    BASE_URLS,
    Busy,
    Overtaxed,
    error_of,
    presentable,
    retry_after,
    too_large,
)
from core.errors import ExportError, ExportRefused, is_transient
from tests.core.amplitude.archives import DAY, HOUR, ONE_HOUR

NO_DATA = "Raw data files were not found."
SENT = {"Date": "Tue, 23 Dec 2025 22:00:00 GMT"}


def error_for(status: int, text: str = "", headers: Mapping[str, str] | None = None) -> ExportError | None:
    return error_of(status, text, headers or {}, window=ONE_HOUR, host="amplitude.com")


def refusal(status: int, text: str = "", headers: Mapping[str, str] | None = None) -> str:
    error = error_for(status, text, headers)
    assert type(error) is ExportRefused
    assert not is_transient(error)
    assert str(HOUR) in str(error)
    assert str(status) in str(error)
    return str(error)


# The table


def test_no_files_is_no_error() -> None:
    assert error_for(404, NO_DATA) is None
    assert error_for(404, f"Error 404 {NO_DATA.upper()}") is None


@pytest.mark.parametrize("text", ["", "Not Found", "Cannot GET /api/2/export"])
def test_another_404_is_no_empty_hour(text: str) -> None:
    assert "base URL" in refusal(404, text)


@pytest.mark.parametrize("status", [400, 401, 403, 410, 500, 504])
def test_only_a_404_says_that_there_are_no_files(status: int) -> None:
    assert error_for(status, NO_DATA) is not None


@pytest.mark.parametrize("status", [401, 403])
def test_unknown_keys_are_refused_with_both_regions_named(status: int) -> None:
    message = refusal(status, "Invalid API Key")
    assert "Invalid API Key" in message
    assert "analytics.eu.amplitude.com" in message


@pytest.mark.parametrize(("status", "hopeless"), [(400, True), (504, False)])
def test_too_much_for_one_request_may_be_halved(status: int, hopeless: bool) -> None:
    error = error_for(status, "too much")
    assert isinstance(error, Overtaxed)
    assert error.hopeless is hopeless
    assert "too much" in str(error)


@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 505, 520, 529, 599])
def test_busy_is_transient(status: int) -> None:
    error = error_for(status, headers={"Retry-After": "7"})
    assert isinstance(error, Busy)
    assert is_transient(error)
    assert error.retry_after_seconds == 7
    assert str(status) in str(error)
    assert str(HOUR) in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_says_where_to(status: int) -> None:
    message = refusal(status, headers={"Location": "https://elsewhere.example/api?token=abc"})
    assert "elsewhere.example" in message
    assert "token" not in message


@pytest.mark.parametrize(
    "location",
    [
        None,
        "/somewhere",
        "",
        pytest.param(
            "http://[bad/",
        ),
    ],
)
def test_a_redirect_to_nowhere_is_refused_all_the_same(location: str | None) -> None:
    refusal(302, headers={} if location is None else {"Location": location})


@pytest.mark.parametrize("status", [201, 202, 204, 206, 402, 405, 410, 413, 418])
def test_what_nobody_expects_is_refused(status: int) -> None:
    assert "amplitude.com" in refusal(status)


@given(st.integers(201, 599), st.text(max_size=50))
def test_every_answer_but_no_files_is_an_error(status: int, text: str) -> None:
    assert (error_for(status, text) is None) == (status == 404 and NO_DATA[:-1].lower() in text.lower())


def test_the_api_is_not_the_web_application() -> None:
    assert BASE_URLS == {"us": "https://amplitude.com", "eu": "https://analytics.eu.amplitude.com"}


# Advice


def test_one_hour_that_is_too_large_points_to_another_way() -> None:
    message = too_large(ONE_HOUR, "Amplitude answered 400")
    assert "Amplitude answered 400" in message
    assert "export to S3" in message
    assert "another run" in message  # for a 400 is not always size


def test_several_hours_that_are_too_large_are_to_be_fewer() -> None:
    message = too_large(DAY, "Amplitude answered 504")
    assert "fewer" in message
    assert "S3" not in message


# Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 120 ", 120),
        ("Tue, 23 Dec 2025 22:01:30 GMT", 90),
        ("Tue, 23 Dec 2025 23:00:30 +0100", 30),
        ("Tue, 23 Dec 2025 22:01:30 -0000", 90),
        ("Tue, 23 Dec 2025 21:59:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e3", None),
        ("Tue, 99 Dec 2025 22:01:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value, **SENT}) == seconds


def test_without_retry_after_nothing_is_said() -> None:
    assert retry_after({}) is None
    assert retry_after(SENT) is None


def test_a_date_without_a_clock_to_compare_it_with_says_nothing() -> None:
    assert retry_after({"Retry-After": "Tue, 23 Dec 2025 22:01:30 GMT"}) is None


@given(st.text() | st.from_regex(r"[0-9]{1,400}", fullmatch=True), st.text())
def test_any_retry_after_is_a_time_or_nothing(value: str, date: str) -> None:
    seconds = retry_after({"Retry-After": value, "Date": date})
    assert seconds is None or (seconds >= 0 and not math.isnan(seconds))


def test_a_date_in_an_impossible_zone_says_nothing() -> None:
    assert retry_after({"Retry-After": f"Tue, 23 Dec 2025 22:01:30 +{'9' * 20}", **SENT}) is None


# Foreign texts


def test_a_page_is_shown_without_its_markup_on_one_line() -> None:
    page = b"<!doctype html>\n<title>Oops</title>\r\n<h1 class='x'>We will be\tright back</h1>"
    assert presentable(page, secrets=()) == "Oops We will be right back"


def test_a_long_text_is_cut() -> None:
    assert len(presentable(b"x" * 10_000, secrets=())) <= 201


def test_a_secret_that_is_repeated_is_hidden() -> None:
    shown = presentable(b"Invalid API key k3y with secret s3cr3t", secrets=("k3y", "s3cr3t"))
    assert shown == "Invalid API key *** with secret ***"


def test_a_secret_that_contains_another_is_hidden_as_a_whole() -> None:
    assert "tail" not in presentable(b"secret is k3y-tail", secrets=("k3y", "k3y-tail"))


@given(st.binary(max_size=300))
def test_any_bytes_are_shown_fit_for_a_log(body: bytes) -> None:
    shown = presentable(body, secrets=("k3y",))
    assert shown.isprintable()
    assert len(shown) <= 201


# Errors that stay inside


def test_inner_errors_can_be_pickled() -> None:
    busy = pickle.loads(pickle.dumps(Busy("busy", 7)))
    assert (type(busy), str(busy), busy.retry_after_seconds) == (Busy, "busy", 7)
    overtaxed = pickle.loads(pickle.dumps(Overtaxed("too much", hopeless=True)))
    assert (type(overtaxed), str(overtaxed), overtaxed.hopeless) == (Overtaxed, "too much", True)
