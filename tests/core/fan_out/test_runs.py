"""What became of shares, in words."""

from __future__ import annotations

from core.fan_out.runs import Ending, told_of
from tests.core.fan_out.examples import NEWEST, share_of


def test_parts_are_counted_and_those_that_were_done_here() -> None:
    endings = {
        share_of(NEWEST - 3): Ending(complete=True),
        share_of(NEWEST - 2): Ending(complete=True, here=True),
        share_of(NEWEST - 1): Ending(complete=False, reason="wrong key", here=True),
    }
    assert told_of(endings) == "3 parts, 2 of them here"
    assert told_of({share_of(NEWEST): Ending(complete=True)}) == "1 part"


def test_those_that_never_began_are_not_counted() -> None:
    idle = Ending(complete=False, reason="3 parts in a row brought nothing", begun=False)
    assert told_of({share_of(NEWEST): Ending(complete=True), share_of(NEWEST - 1): idle}) == "1 part"
