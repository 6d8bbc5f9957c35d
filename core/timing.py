"""When something was done, so that steps that overlap can be told apart."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of this machine's monotonic clock, in seconds; comparable within one process."""

    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Timed(Generic[T_co]):
    """A receipt, and when its work was done."""

    receipt: T_co
    span: Span


class Stopwatch:
    """Starts when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def stop(self, receipt: T) -> Timed[T]:
        """Put the time that has passed beside what was done in it."""
        return Timed(receipt, Span(self._began, time.perf_counter()))


def busy_seconds(spans: Iterable[Span]) -> float:
    """How long at least one of them was under way: overlapping stretches count once."""
    total = 0.0
    end = float("-inf")
    for span in sorted(spans):
        total += max(0.0, span.ended - max(span.began, end))
        end = max(end, span.ended)
    return total
