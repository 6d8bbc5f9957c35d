"""Runs of shares: who starts them elsewhere, what can be known of one, and what became of each share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeVar

from core.fan_out.shares import Share
from core.wording import counted

R = TypeVar("R")


class Phase(Enum):
    """How far a run is."""

    WAITING = auto()  #: nobody has begun it
    RUNNING = auto()  #: somebody says so
    COMPLETE = auto()  #: green
    FAILED = auto()  #: it has said why
    CANCELLED = auto()  #: somebody did not want it
    DIED = auto()  #: its process ended without a word


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a run, and what it said at its end."""

    phase: Phase
    message: str = ""


class Runs(Protocol[R]):
    """Who starts runs elsewhere. Whoever cannot be reached at this moment never raises."""

    def start(self, share: Share, before: int) -> R | None:
        """Ask for a run of a share that has had so many before; None if it could not be asked for."""
        ...

    def look(self, run: R) -> Seen:
        """How far it is; running, if nobody says."""
        ...

    def call_off(self, run: R) -> bool:
        """Take back a run that nobody has begun; False if somebody has, or it could not be taken back.

        One that is begun at this very moment is ended.
        """
        ...

    def cancel(self, run: R) -> None:
        """End a run, begun or not; what it has brought stays."""
        ...


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a share.

    Attributes:
        complete: Whether its run was green.
        reason: What the run said, if it was not; or why there was none.
        here: Whether it was carried out here.
        begun: Whether there was a run at all.
    """

    complete: bool
    reason: str = ""
    here: bool = False
    begun: bool = True


def told_of(endings: Mapping[Share, Ending]) -> str:
    """``12 parts, 2 of them here``."""
    begun = [ending for ending in endings.values() if ending.begun]
    here = sum(ending.here for ending in begun)
    return counted(len(begun), "part") + (f", {here} of them here" if here else "")
