"""Rules that count how often they are played."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from hypothesis.stateful import rule
from hypothesis.strategies import SearchStrategy


class Counting(Protocol):
    """A machine with a tally."""

    @property
    def tally(self) -> Counter[str]: ...


def counted_rule(**choices: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """As hypothesis's ``rule``; the machine's tally counts it by its name."""

    def decorate(function: Callable[..., None]) -> Any:
        @wraps(function)
        def counting(machine: Counting, **chosen: Any) -> None:
            machine.tally[f"rule {function.__name__}"] += 1
            function(machine, **chosen)

        played: Any = rule
        return played(**choices)(counting)

    return decorate
