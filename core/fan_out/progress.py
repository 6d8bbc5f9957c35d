"""How far the shares of a plan are, as the lake tells it: whoever brought an hour, it has come."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from core.fan_out.shares import Share
from core.gaps import GapPlan, Why
from core.hours import windows_of
from core.lake.layout import ManifestName
from core.lake.store import Lake
from core.lake.verdict import HourVerdict, verdicts_of
from core.planning import PlanRules

#: Machines that write to one lake agree on the time within this.
_CLOCKS_AGREE = timedelta(minutes=1)


def hours_left(lake: Lake, shares: Collection[Share], since: datetime) -> dict[Share, int]:
    """How many hours of each share the lake still lacks, by its manifests' names.

    Costs a list request for each thousand manifests from the first hour of all to the last.

    Args:
        since: When the plan was made.

    Raises:
        LakeUnavailable: Transient. LakeRefused, LakeConflict: Permanent.
    """
    if not shares:
        return {}
    first, last = min(share.hours[0] for share in shares), max(share.hours[-1] for share in shares)
    verdicts = verdicts_of(lake.manifest_names(first, last))
    return {
        share: sum(not has_come(verdicts.get(hour), why, since) for hour, why in share.why.items())
        for share in shares
    }


def rest_of(lake: Lake, share: Share, since: datetime, *, rules: PlanRules) -> GapPlan:
    """The plan of a run that carries out a share: every hour of it that has not come yet.

    Nothing else is looked at: whoever made the share has judged each hour by what the lake held then.

    Args:
        since: When the plan was made that the share is of.

    Raises:
        LakeUnavailable: Transient. LakeRefused, LakeConflict: Permanent.
    """
    verdicts = verdicts_of(lake.manifest_names(share.range.first, share.range.last))
    why = {hour: why for hour, why in share.why.items() if not has_come(verdicts.get(hour), why, since)}
    return GapPlan(since, share.range, why, tuple(windows_of(why, window_hours=rules.window_hours)))


def has_come(verdict: HourVerdict | None, why: Why, since: datetime) -> bool:
    """Whether an hour was exported as a plan wanted it: since then or, if it was missing, at all."""
    if verdict is None:
        return False
    return (why is Why.MISSING and verdict.is_committed) or brought(verdict, why, since) is not None


def brought(verdict: HourVerdict | None, why: Why, since: datetime) -> ManifestName | None:
    """The newest export of an hour, if it was made for a plan of that moment, or beside it.

    Of a damaged hour an export for another reason is none: it repeats the parts that it takes for whole.
    """
    if verdict is None:
        return None
    since -= _CLOCKS_AGREE
    names = [*([verdict.content] if verdict.content else []), *verdict.shrunk]
    newest = max(names, default=None)
    if newest is None or newest.exported_at < since:
        return None
    restored = verdict.restored_at is not None and verdict.restored_at >= since
    return None if why is Why.DAMAGED and not (restored or newest in verdict.shrunk) else newest
