"""What an hour holds from some moment on: late data, fewer events, nothing at all.

Two exports of one window can differ; these are the ways in which they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from core.errors import InvalidInput
from core.hours import ExportHour
from emulators.amplitude.specs import Hours, concerns, read_count, read_hours, read_instant, read_pairs


@dataclass(frozen=True, slots=True)
class Change:
    """From ``after`` on, and from the ``from_request``-th time an hour is asked for, it holds something else.

    Guarantees: the events that stay are the same, byte for byte; added ones are always the same
    ones too. Changes add up. Requests that a fault spoiled are not counted.

    Args:
        hours: The hours that change; None for all.
        add: So many events arrive late.
        drop: So many events are no longer there.
        gone: Nothing is there any more.
        after: The instant from which on it holds, by the emulator's clock; aware. None for always.
        from_request: 2 means: the first answer is as if nothing had happened.
    """

    hours: Hours = None
    add: int = 0
    drop: int = 0
    gone: bool = False
    after: datetime | None = None
    from_request: int = 1

    def holds(self, hour: ExportHour, at: datetime | None, request: int) -> bool:
        """Whether it has happened for an hour that is asked for at ``at``, for the ``request``-th time.

        ``at`` None is the beginning of time: what waits for an instant has not happened.
        """
        if not concerns(self.hours, hour) or request < self.from_request:
            return False
        return self.after is None or (at is not None and at >= self.after)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``add=20,hours=2025-12-23T19,after=2025-12-24T06:00:00Z``; ``gone=1``; ``drop=5,from_request=2``.

        Raises:
            InvalidInput: It says something else. Permanent.
        """
        pairs = read_pairs(text, {"hours", "add", "drop", "gone", "after", "from_request"})
        change = cls(
            hours=read_hours(pairs["hours"]) if "hours" in pairs else None,
            add=read_count("add", pairs.get("add", "0")),
            drop=read_count("drop", pairs.get("drop", "0")),
            gone=read_count("gone", pairs.get("gone", "0")) > 0,
            after=read_instant("after", pairs["after"]) if "after" in pairs else None,
            from_request=read_count("from_request", pairs.get("from_request", "1")),
        )
        if not (change.add or change.drop or change.gone):
            msg = f"A change adds, drops or takes all away (add=…, drop=…, gone=1); {text!r} does nothing."
            raise InvalidInput(msg)
        return change
