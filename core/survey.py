"""Look at the lake and plan an ingest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.hours import ExportHour
from core.lake.identity import LakeIdentity
from core.lake.store import Lake
from core.lake.verdict import HourVerdict, verdicts_of
from core.planning import FIRST_HOUR, Plan, PlanRules, plan_missing, wanted_window

_RECENT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Survey:
    """A plan, and whose events the lake holds; nobody's until the first archive has landed."""

    plan: Plan
    identity: LakeIdentity | None


def survey(
    lake: Lake, now: datetime, *, first: ExportHour | None, last: ExportHour | None, rules: PlanRules
) -> Survey:
    """Plan what an ingest exports, and write down from where on hours are wanted.

    Costs the same few requests however long the history is. Safe to repeat.

    Args:
        now: The run's actual start, aware.
        first: Asked for by the caller, or None.
        last: Asked for by the caller, or None.

    Raises:
        InvalidInput: The range cannot be. Permanent.
        LakeUnavailable: Transient. LakeRefused, LakeConflict: Permanent.
    """
    newest = ExportHour.newest_complete(now)
    wanted = wanted_window(now, first=first, last=last, newest_committed=None, rules=rules) if first else None
    begin = first
    if begin is None:
        day = lake.newest_day(since=ExportHour.containing(now - _RECENT)) or lake.newest_day()
        begin = day - rules.lookback_hours if day else None
    verdicts = verdicts_of(lake.manifest_names(begin, max(newest, last or newest))) if begin else {}
    if wanted is None:
        newest_committed = _newest_committed(verdicts)
        if (
            begin is not None and newest_committed is None
        ):  # what lies there commits nothing: look at all of it
            verdicts = verdicts_of(lake.manifest_names(FIRST_HOUR, max(newest, last or newest)))
            newest_committed = _newest_committed(verdicts)
        wanted = wanted_window(now, first=None, last=last, newest_committed=newest_committed, rules=rules)
        if begin is not None and wanted.first < begin:
            verdicts = verdicts_of(lake.manifest_names(wanted.first, wanted.last))
    plan = plan_missing(now, wanted, verdicts, rules=rules)
    known = lake.wanted_from()
    if known is None or wanted.first < known:
        lake.want_from(wanted.first)
    return Survey(plan, lake.identity())


def _newest_committed(verdicts: Mapping[ExportHour, HourVerdict]) -> ExportHour | None:
    return max((hour for hour, verdict in verdicts.items() if verdict.is_committed), default=None)
