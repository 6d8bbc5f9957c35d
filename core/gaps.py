"""Which hours a gap-fill exports, and why; pure.

Missing hours, hours that have rested long enough to be settled, hours that held fewer events when they
were asked again, and hours whose objects are missing or differ. Time comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from core.errors import InvalidInput
from core.hours import ExportHour, ExportWindow, windows_of
from core.lake.verdict import HourVerdict, settled_from
from core.planning import PlanRules, check_range
from core.wording import counted, listed

#: How often an hour that has shrunk is exported after its settling time; the listing counts them.
EXPORTS_OF_A_SHRUNK_HOUR = 3


class Why(StrEnum):
    """What an hour is exported for."""

    MISSING = "missing"
    UNSETTLED = "to be settled"
    SHRUNK = "that held fewer events when asked again"
    ASKED = "asked for again"
    DAMAGED = "with objects missing or different"


@dataclass(frozen=True, slots=True)
class GapPlan:
    """What a gap-fill is going to do.

    Guarantees: ``windows`` cover every hour of ``why`` once and nothing else; they hold no hour that is not
    complete, outside of ``wanted``, or given up. There is no limit, so no hour waits for another.

    Attributes:
        now: The moment it was made for, UTC.
        wanted: First to last hour that the run answers for.
        why: What will be exported and what for, oldest first.
        windows: Oldest first.
        resting: Committed, and to be settled by a later run.
        damaged: How an hour's objects differ from its manifest.
        to_verify: Hours whose rows are compared with the lake, whatever the run does.
    """

    now: datetime
    wanted: ExportWindow
    why: Mapping[ExportHour, Why]
    windows: tuple[ExportWindow, ...]
    resting: tuple[ExportHour, ...] = ()
    damaged: Mapping[ExportHour, str] = field(default_factory=dict)
    to_verify: tuple[ExportHour, ...] = ()

    def hours_for(self, why: Why) -> list[ExportHour]:
        """The hours that are exported for one reason, oldest first."""
        return [hour for hour, reason in self.why.items() if reason is why]

    def reasons(self) -> list[str]:
        """What is exported and what for, in words: a line for each reason."""
        lines = [
            f"{counted(len(hours), 'hour')} {why}: {listed(hours)}"
            for why in Why
            if (hours := self.hours_for(why))
        ]
        return lines or ["nothing: no hour is missing, and none is due to be asked for again"]


def gap_window(
    now: datetime, *, first: ExportHour | None, last: ExportHour | None, since: ExportHour | None
) -> ExportWindow:
    """The hours that a gap-fill answers for.

    Args:
        now: The run's actual start, aware.
        first: Asked for by the caller; None: ``since``.
        last: Asked for by the caller; None: the newest complete hour.
        since: The earliest hour that any run wanted, or that is committed; None if there is none.

    Raises:
        InvalidInput: See :func:`core.planning.check_range`; or there is nothing to begin with. Permanent.
    """
    check_range(now, first, last)
    begin = first or since
    if begin is None:
        msg = (
            "No hour has been asked for yet, so there is no gap. Give --start, or run python -m flows.ingest."
        )
        raise InvalidInput(msg)
    return ExportWindow(begin, last or ExportHour.newest_complete(now))


def hours_to_verify(
    now: datetime, wanted: ExportWindow, *, rules: PlanRules, whole: bool
) -> list[ExportHour]:
    """The hours of a range whose objects and rows are compared: the last ``verify_days``, or all of it."""
    oldest = now - timedelta(days=rules.verify_days)
    return [hour for hour in wanted if whole or hour.start >= oldest]


def plan_gaps(
    now: datetime,
    wanted: ExportWindow,
    verdicts: Mapping[ExportHour, HourVerdict],
    *,
    rules: PlanRules,
    settle: bool,
    damaged: Mapping[ExportHour, str],
    to_verify: tuple[ExportHour, ...] = (),
    asked: Collection[ExportHour] = (),
) -> GapPlan:
    """Plan the export of every hour of a range that needs one.

    Args:
        verdicts: Of at least the wanted hours that have manifests.
        settle: Whether hours that have rested long enough are exported once more.
        damaged: Hours whose objects were found to differ from their manifest, and how.
        asked: Hours that the caller wants to be exported again, whatever the lake holds.
    """
    why: dict[ExportHour, Why] = {}
    resting: list[ExportHour] = []
    for hour in wanted:
        verdict = verdicts.get(hour)
        reason = Why.DAMAGED if hour in damaged else _reason(now, verdict, rules, settle=settle)
        if reason is None and hour in asked:
            reason = Why.ASKED
        if reason is not None:
            why[hour] = reason
        elif verdict and not verdict.is_settled(rules.settle) and now < settled_from(hour, rules.settle):
            resting.append(hour)
    windows = tuple(windows_of(why, window_hours=rules.window_hours))
    return GapPlan(now, wanted, why, windows, tuple(resting), dict(damaged), to_verify)


def _reason(now: datetime, verdict: HourVerdict | None, rules: PlanRules, *, settle: bool) -> Why | None:
    """What an hour is exported for; None if it needs nothing."""
    if verdict is None or not verdict.is_committed:
        return Why.MISSING
    due_from = settled_from(verdict.hour, rules.settle)
    if verdict.given_up or not settle or now < due_from:
        return None
    if verdict.shrunk:
        asked = sum(name.exported_at >= due_from for name in verdict.shrunk)
        return Why.SHRUNK if asked < EXPORTS_OF_A_SHRUNK_HOUR else None
    return None if verdict.is_settled(rules.settle) else Why.UNSETTLED
