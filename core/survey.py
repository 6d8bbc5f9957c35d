"""Look at the lake and plan an ingest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.hours import ExportHour
from core.lake.identity import LakeIdentity
from core.lake.store import Lake
from core.lake.verdict import HourVerdict, verdicts_of
from core.planning import FIRST_HOUR, Plan, PlanRules, check_range, plan_missing, wanted_window

_RECENT = timedelta(days=30)

#: How far back missing hours are named that lie before a run's range: their names fit one page.
_NAMED_HOURS = 14 * 24


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
    check_range(now, first, last)
    if first is not None:
        wanted = wanted_window(now, first=first, last=last, newest_committed=None, rules=rules)
        verdicts = verdicts_of(lake.manifest_names(wanted.first, wanted.last))
        plan = plan_missing(now, wanted, verdicts, rules=rules)
        known = lake.wanted_from()
    else:
        known = lake.wanted_from()
        plan = _incremental_plan(lake, now, last, known, rules)
    if known is None or plan.wanted.first < known:
        lake.want_from(plan.wanted.first)
    return Survey(plan, lake.identity())


def _incremental_plan(
    lake: Lake, now: datetime, last: ExportHour | None, known: ExportHour | None, rules: PlanRules
) -> Plan:
    """Plan from the newest committed hour on."""
    newest = ExportHour.newest_complete(now)
    day = lake.newest_day(since=ExportHour.containing(now - _RECENT)) or lake.newest_day()
    since = None if known is None else max(known, newest - _NAMED_HOURS)
    begin = None if day is None else min(day - rules.lookback_hours, since or day)
    verdicts = verdicts_of(lake.manifest_names(begin, newest)) if begin else {}
    newest_committed = _newest_committed(verdicts)
    if begin is not None and newest_committed is None:  # what lies there commits nothing: look at all of it
        begin, verdicts = FIRST_HOUR, verdicts_of(lake.manifest_names(FIRST_HOUR, newest))
        newest_committed = _newest_committed(verdicts)
    wanted = wanted_window(now, first=None, last=last, newest_committed=newest_committed, rules=rules)
    if begin is not None and wanted.first < begin:
        verdicts = verdicts_of(lake.manifest_names(wanted.first, wanted.last))
    return plan_missing(now, wanted, verdicts, rules=rules, wanted_since=None if last else since)


def _newest_committed(verdicts: Mapping[ExportHour, HourVerdict]) -> ExportHour | None:
    return max((hour for hour, verdict in verdicts.items() if verdict.is_committed), default=None)
