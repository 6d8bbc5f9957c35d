"""Counts and hours in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.hours import hours_between
from core.wording import counted, duration, listed
from tests.core.lake.examples import HOUR


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 hours"), (1, "1 hour"), (2, "2 hours"), (12345, "12,345 hours")]
)
def test_numbers_are_counted_in_words(number: int, text: str) -> None:
    assert counted(number, "hour") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (40, "40 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (720, "12 min"),
        (89.4 * 60, "89 min"),
        (90 * 60, "1.5 h"),
        (3.5 * 3600, "3.5 h"),
        (100 * 3600, "100.0 h"),
    ],
)
def test_a_time_is_told_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_longer_time_is_never_told_as_a_shorter_one(one: float, other: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    told = [(float(number) * units[unit]) for number, unit in (duration(t).split() for t in (one, other))]
    assert (told[0] <= told[1]) if one <= other else (told[0] >= told[1])


def test_hours_are_listed_as_the_stretches_they_form() -> None:
    hours = [HOUR, *hours_between(HOUR - 19, HOUR - 15), *hours_between(HOUR - 60, HOUR - 40), HOUR + 100]
    assert listed(hours) == "2025-12-21T07…2025-12-22T03, 2025-12-23T00…T04, 2025-12-23T19, 2025-12-27T23"
    assert listed([]) == ""


@given(st.sets(st.integers(0, 500), max_size=60))
def test_every_hour_is_listed_once(places: set[int]) -> None:
    hours = [HOUR + place for place in places]
    assert listed(hours) == listed(reversed(hours)) == listed(hours + hours)
    stretches = len([place for place in places if place - 1 not in places])
    assert len(listed(hours).split(", ") if hours else []) == stretches
