"""Hours and windows: how they are read, spelled, counted and cut."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.hours import ExportHour, ExportWindow, hours_between, stretches, windows_of

FIRST = datetime(2014, 11, 12, tzinfo=UTC)
ONE_HOUR = timedelta(hours=1)

hours = st.integers(0, 1_000_000).map(lambda number: ExportHour(FIRST + number * ONE_HOUR))
ZONES = [ZoneInfo(name) for name in ("UTC", "America/New_York", "Europe/London", "Asia/Kathmandu")]
instants = st.datetimes(datetime(2015, 1, 1), datetime(2100, 1, 1), timezones=st.sampled_from(ZONES))  # noqa: DTZ001
#: Stretches of hours, with gaps between them.
sets_of_hours = st.lists(
    st.tuples(st.booleans(), st.integers(1, 12)).map(lambda stretch: [stretch[0]] * stretch[1]), max_size=8
).map(
    lambda stretches: {
        ExportHour(FIRST + number * ONE_HOUR)
        for number, wanted in enumerate(wanted for stretch in stretches for wanted in stretch)
        if wanted
    }
)
windows = st.builds(lambda first, more: ExportWindow(first, first + more), hours, st.integers(0, 400))


def hour(text: str) -> ExportHour:
    return ExportHour.parse(text)


def window(first: str, last: str) -> ExportWindow:
    return ExportWindow(hour(first), hour(last))


# How an hour is read and spelled


@given(hours)
def test_both_spellings_of_an_hour_are_read_back(any_hour: ExportHour) -> None:
    assert ExportHour.parse(str(any_hour)) == any_hour
    assert ExportHour.parse(any_hour.api) == any_hour


@given(hours)
def test_an_hour_is_spelled_as_its_start_is(any_hour: ExportHour) -> None:
    iso = any_hour.start.isoformat()
    assert str(any_hour) == iso[:13]
    assert any_hour.api == iso[:13].replace("-", "")
    assert (any_hour.day, any_hour.hour_of_day) == (iso[:10], iso[11:13])


@given(hours, hours)
def test_hours_stand_in_the_order_of_their_spellings(one: ExportHour, other: ExportHour) -> None:
    assert (one < other) == (str(one) < str(other)) == (one.api < other.api)


@pytest.mark.parametrize(
    "text",
    [
        "2025-12-23T19",
        "20251223T19",
        "2025-12-23T19:00Z",
        "2025-12-23T19:00:00Z",
        "2025-12-23T19:00:00.000Z",
        "2025-12-23T19:00:00+00:00",
    ],
)
def test_an_instant_on_the_hour_is_an_hour_if_it_says_that_it_is_utc(text: str) -> None:
    assert ExportHour.parse(text).start == datetime(2025, 12, 23, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2025-12-23",
        "2025-12-23 19",
        "2025-12-23T1",
        "2025-12-23T190",
        "25-12-23T19",
        "2025-12-23T24",
        "2025-12-32T00",
        "2025-13-01T00",
        "0000-01-01T00",
        "2025-02-29T00",
        "2025-12-23T19:00",  # whose 19 o'clock?
        "2025-12-23T19:00:00+01:00",
        "2025-12-23T19:30Z",
        "2025-12-23T19:00:00.001Z",
        "2025-12-23T19\n2025-12-24T19",
        "٢٠٢٥-١٢-٢٣T١٩",  # noqa: RUF001 - digits, but not Amplitude's
    ],
)
def test_what_is_no_hour_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        ExportHour.parse(text)


def test_a_refusal_shows_how_an_hour_is_written_and_little_of_what_came() -> None:
    with pytest.raises(InvalidInput) as refused:
        ExportHour.parse("\x1b[31m" + "x" * 10_000)
    message = str(refused.value)
    assert "2025-12-23T19" in message
    assert len(message) < 200
    assert message.isprintable()


def test_the_leap_day_has_hours() -> None:
    assert hour("2024-02-28T23") + 1 == hour("2024-02-29T00")


# What an hour is


@pytest.mark.parametrize(
    "start",
    [
        datetime(2025, 12, 23, 19),  # noqa: DTZ001 - the point
        datetime(2025, 12, 23, 19, tzinfo=timezone(ONE_HOUR)),
        datetime(2025, 12, 23, 19, tzinfo=timezone(timedelta(minutes=330))),
        datetime(2025, 12, 23, 19, 30, tzinfo=UTC),
        datetime(2025, 12, 23, 19, 0, 1, tzinfo=UTC),
        datetime(2025, 12, 23, 19, 0, 0, 1, tzinfo=UTC),
    ],
)
def test_an_hour_starts_on_the_hour_and_in_utc(start: datetime) -> None:
    with pytest.raises(InvalidInput):
        ExportHour(start)


@given(instants)
def test_the_hour_of_an_instant_contains_it(instant: datetime) -> None:
    start = ExportHour.containing(instant).start
    assert start <= instant.astimezone(UTC) < start + ONE_HOUR


def test_an_instant_without_a_zone_lies_in_no_hour() -> None:
    naive = datetime(2025, 12, 23, 19)  # noqa: DTZ001 - the point
    with pytest.raises(InvalidInput):
        ExportHour.containing(naive)
    with pytest.raises(InvalidInput):
        ExportHour.newest_complete(naive)


def test_london_in_winter_is_taken_as_utc_and_stays_utc() -> None:
    # Its clock agrees with UTC until it is put forward: an hour must not change its zone with the season.
    winter = ExportHour(datetime(2025, 3, 29, 23, tzinfo=ZoneInfo("Europe/London")))
    assert winter.start.tzinfo is UTC
    assert str(winter + 4) == "2025-03-30T03"


@given(hours, st.integers(-10_000, 10_000))
def test_what_is_added_can_be_taken_away(any_hour: ExportHour, count: int) -> None:
    assert any_hour + count - count == any_hour
    assert (any_hour + count).start - any_hour.start == count * ONE_HOUR


def test_an_hour_can_travel() -> None:
    journey = window("2025-12-23T19", "2025-12-24T03")
    assert pickle.loads(pickle.dumps(journey)) == journey
    assert len({hour("2025-12-23T19"), hour("20251223T19")}) == 1


# When an hour can be exported


def test_what_came_in_between_eight_and_nine_can_be_exported_at_eleven() -> None:
    eight = hour("2025-12-23T20")
    eleven = datetime(2025, 12, 23, 23, tzinfo=UTC)
    assert eight.complete_at == eleven
    assert ExportHour.newest_complete(eleven) == eight
    assert ExportHour.newest_complete(eleven - timedelta(microseconds=1)) == eight - 1


@given(instants.map(lambda instant: instant.astimezone(UTC)))
def test_the_newest_complete_hour_is_complete_and_the_next_is_not(now: datetime) -> None:
    newest = ExportHour.newest_complete(now)
    assert newest.complete_at <= now < (newest + 1).complete_at


@pytest.mark.parametrize(
    "now",
    [
        datetime(2025, 3, 9, 3, 30, tzinfo=ZoneInfo("America/New_York")),  # an hour after 1:30
        datetime(2025, 11, 2, 3, 30, tzinfo=ZoneInfo("America/New_York")),  # three hours after the first 1:30
    ],
)
def test_a_clock_that_was_put_forward_or_back_completes_no_hour(now: datetime) -> None:
    assert ExportHour.newest_complete(now) == ExportHour.newest_complete(now.astimezone(UTC))


# Windows


def test_a_window_includes_both_ends() -> None:
    day = window("2025-12-23T00", "2025-12-23T23")
    assert len(day) == len(list(day)) == 24
    assert hour("2025-12-23T00") in day
    assert hour("2025-12-23T23") in day
    assert hour("2025-12-22T23") not in day
    assert hour("2025-12-24T00") not in day


def test_a_window_can_be_one_hour() -> None:
    assert list(window("2025-12-23T19", "2025-12-23T19")) == [hour("2025-12-23T19")]


def test_only_hours_are_in_a_window() -> None:
    assert "2025-12-23T19" not in window("2025-12-23T00", "2025-12-23T23")


@given(windows)
def test_a_window_holds_what_it_lists(any_window: ExportWindow) -> None:
    listed = list(any_window)
    assert len(listed) == len(any_window)
    assert all(later.start - earlier.start == ONE_HOUR for earlier, later in pairwise(listed))
    assert (listed[0], listed[-1]) == (any_window.first, any_window.last)
    assert all(member in any_window for member in listed)


def test_a_window_cannot_end_before_it_starts() -> None:
    with pytest.raises(InvalidInput, match="2025-12-23T18"):
        window("2025-12-23T19", "2025-12-23T18")


def test_no_request_asks_for_more_than_365_days() -> None:
    year = ExportWindow(hour("2024-01-01T00"), hour("2025-12-31T23"))
    assert [len(window) for window in windows_of(year, window_hours=365 * 24)] == [365 * 24, 365 * 24, 24]
    for window_hours in (0, 365 * 24 + 1):
        with pytest.raises(InvalidInput, match="365 days"):
            list(windows_of(year, window_hours=window_hours))


@given(windows.filter(lambda any_window: len(any_window) > 1))
def test_halves_are_the_whole_and_about_equal(any_window: ExportWindow) -> None:
    one, other = any_window.halves()
    assert [*one, *other] == list(any_window)
    assert abs(len(one) - len(other)) <= 1


@pytest.mark.parametrize(
    ("last", "shown"),
    [
        ("2025-12-23T19", "2025-12-23T19"),
        ("2025-12-23T21", "2025-12-23T19…T21"),
        ("2025-12-24T03", "2025-12-23T19…2025-12-24T03"),
    ],
)
def test_a_window_shows_its_first_and_last_hour(last: str, shown: str) -> None:
    assert str(window("2025-12-23T19", last)) == shown
    assert window("2025-12-23T19", last).name == shown.replace("…", "...")
    assert window("2025-12-23T19", last).name.isascii()


@given(windows)
def test_a_window_is_read_as_it_was_written(any_window: ExportWindow) -> None:
    assert ExportWindow.parse(str(any_window)) == ExportWindow.parse(any_window.name) == any_window


@pytest.mark.parametrize(
    "text", ["", "…", "…T05", "2025-12-23", "2025-12-23T05…", "2025-12-23T05…06", "2025-12-23T05…T0"]
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="Not an export hour"):
        ExportWindow.parse(text)


def test_there_are_no_hours_between_an_hour_and_an_earlier_one() -> None:
    assert list(hours_between(hour("2025-12-23T19"), hour("2025-12-23T18"))) == []


# Windows that cover hours


@settings(max_examples=200)
@given(sets_of_hours, st.integers(1, 15))
def test_windows_cover_each_hour_once_and_nothing_else(wanted: set[ExportHour], window_hours: int) -> None:
    covered = [
        member for any_window in windows_of(wanted, window_hours=window_hours) for member in any_window
    ]
    assert covered == sorted(wanted)


@given(sets_of_hours, st.integers(1, 15))
def test_windows_keep_the_limit_and_are_no_more_than_it_takes(
    wanted: set[ExportHour], window_hours: int
) -> None:
    found = list(windows_of(wanted, window_hours=window_hours))
    assert all(len(any_window) <= window_hours for any_window in found)
    for earlier, later in pairwise(found):
        assert later.first > earlier.last + 1 or len(earlier) == window_hours


def test_a_day_and_an_hour_are_two_windows_of_a_day() -> None:
    wanted = hours_between(hour("2025-12-23T00"), hour("2025-12-24T00"))
    assert [str(any_window) for any_window in windows_of(wanted, window_hours=24)] == [
        "2025-12-23T00…T23",
        "2025-12-24T00",
    ]


@given(st.lists(st.sampled_from([hour("2025-12-23T00") + n for n in range(12)])))
def test_windows_do_not_mind_order_and_repetition(wanted: list[ExportHour]) -> None:
    assert list(windows_of(wanted, window_hours=5)) == list(windows_of(sorted(set(wanted)), window_hours=5))


def test_a_window_that_bridged_a_gap_would_ask_for_what_nobody_wants() -> None:
    wanted = [hour("2025-12-23T00"), hour("2025-12-23T05")]
    naive = ExportWindow(min(wanted), max(wanted))
    assert len(naive) == 6
    assert [len(any_window) for any_window in windows_of(wanted, window_hours=24)] == [1, 1]


# Hours that one question is asked for

NOON = ExportHour.parse("2025-12-23T12")


def test_hours_are_asked_for_in_stretches_that_no_gap_of_more_than_thirty_days_lies_in() -> None:
    month = 30 * 24
    hours = [NOON, NOON + month, NOON + 2 * month + 1, NOON + 2 * month, NOON - month - 1]
    assert list(stretches(hours)) == [
        ExportWindow(NOON - month - 1, NOON - month - 1),
        ExportWindow(NOON, NOON + 2 * month + 1),
    ]
    assert list(stretches([NOON, NOON])) == [ExportWindow(NOON, NOON)]
    assert list(stretches([])) == []


@given(st.sets(st.integers(0, 5000), min_size=1))
def test_every_hour_lies_in_one_stretch_and_stretches_lie_far_apart(places: set[int]) -> None:
    cut = list(stretches(NOON + place for place in places))
    for place in places:
        assert sum(NOON + place in stretch for stretch in cut) == 1
    ends = {one for stretch in cut for one in (stretch.first, stretch.last)}
    assert ends <= {NOON + place for place in places}
    for before, after in pairwise(cut):
        assert (after.first.start - before.last.start).days >= 30


# What is said of it


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda: ExportHour(datetime(2025, 12, 23, 19)),  # noqa: DTZ001
            "Export hours are UTC: 2025-12-23T19:00:00 is naive or in another time zone.",
        ),
        (
            lambda: ExportHour(datetime(2025, 12, 23, 19, 30, tzinfo=UTC)),
            "An export hour starts on the hour, 2025-12-23T19:30:00+00:00 does not.",
        ),
        (
            lambda: ExportHour.containing(datetime(2025, 12, 23, 19)),  # noqa: DTZ001
            "An instant needs a time zone, 2025-12-23T19:00:00 has none.",
        ),
        (
            lambda: ExportHour.parse("x" * 99),
            f"Not an export hour: '{'x' * 40}'. Write it in UTC as 2025-12-23T19 (or 20251223T19).",
        ),
        (
            lambda: ExportHour.parse("2025-12-23T24:00:00." + "0" * 30 + "Z"),
            "Not an export hour: '2025-12-23T24:00:00.00000000000000000000' (hour must be in 0..23).",
        ),
    ],
)
def test_a_refusal_says_what_came_and_what_is_expected(ask: Callable[[], object], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ask()
    assert str(refused.value) == said


def test_the_machine_s_own_time_zone_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")  # a quarter of an hour beside everybody's hours
    time.tzset()
    try:
        found = ExportHour.containing(datetime(2025, 12, 23, 19, 20, tzinfo=UTC))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert str(found) == "2025-12-23T19"
