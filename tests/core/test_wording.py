"""Counts and hours in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.hours import hours_between
from core.wording import counted, listed
from tests.core.lake.examples import HOUR


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 hours"), (1, "1 hour"), (2, "2 hours"), (12345, "12,345 hours")]
)
def test_numbers_are_counted_in_words(number: int, text: str) -> None:
    assert counted(number, "hour") == text


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
