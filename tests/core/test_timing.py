"""Stretches of time that overlap."""

from __future__ import annotations

import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.timing import Span, Stopwatch, busy_seconds

spans = st.lists(
    st.builds(lambda began, lasted: Span(began, began + lasted), st.integers(0, 50), st.integers(0, 20))
)


def test_a_stopwatch_puts_the_time_beside_the_receipt() -> None:
    before = time.perf_counter()
    stopwatch = Stopwatch()
    timed = stopwatch.stop("receipt")
    assert timed.receipt == "receipt"
    assert before <= timed.span.began <= timed.span.ended <= time.perf_counter()


def test_a_stopwatch_can_be_stopped_again() -> None:
    stopwatch = Stopwatch()
    stops = [stopwatch.stop(None).span for _ in range(3)]
    assert len({span.began for span in stops}) == 1
    assert all(earlier.ended <= later.ended for earlier, later in pairwise(stops))


@given(spans)
def test_every_second_in_which_something_went_on_counts_once(any_spans: list[Span]) -> None:
    seconds = {second for span in any_spans for second in range(int(span.began), int(span.ended))}
    assert busy_seconds(any_spans) == len(seconds)


def test_adding_up_would_count_overlapping_stretches_twice() -> None:
    overlapping = [Span(0, 4), Span(2, 6), Span(3, 4)]
    assert sum(span.ended - span.began for span in overlapping) == 9
    assert busy_seconds(overlapping) == 6


def test_nothing_takes_no_time() -> None:
    assert busy_seconds([]) == 0
