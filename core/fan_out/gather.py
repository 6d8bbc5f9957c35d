"""What several runs have brought, read from the lake: they hand one another nothing but manifests."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from core.errors import RunFailed
from core.fan_out.progress import brought, has_come
from core.fan_out.runs import Ending, told_of
from core.fan_out.shares import Share, in_share
from core.gaps import GapPlan, Why
from core.hours import ExportHour
from core.lake.manifest import Manifest
from core.lake.reading import read_manifests
from core.lake.store import Lake
from core.lake.verdict import verdicts_of
from core.planning import PlanRules, believe_no_data
from core.report import reasons_in
from core.timing import Span, Timed
from core.transfer import Transfer, is_miscount

#: Of an hour that its part should have brought.
LOST = "was not brought, although its part ended well"


def gather(
    lake: Lake, plan: GapPlan, endings: Mapping[Share, Ending], *, rules: PlanRules, span: Span
) -> Transfer:
    """What has come of a plan since it was made.

    Costs a list request for each thousand manifests of the plan's range, and a GET for each hour that came.

    Args:
        endings: Of all shares of the plan.
        span: When the runs were under way.

    Raises:
        LakeUnavailable: Transient. LakeRefused, LakeConflict: Permanent.
    """
    verdicts = verdicts_of(lake.manifest_names(plan.wanted.first, plan.wanted.last))
    came = [name for hour, why in plan.why.items() if (name := brought(verdicts.get(hour), why, plan.now))]
    read = read_manifests(lake, came)
    transfer = Transfer(parts_of_plan=Timed(told_of(endings), span))
    transfer.committed = [Timed(one, span) for one in read.values() if isinstance(one, Manifest)]
    transfer.failures = {name.hour: str(one) for name, one in read.items() if not isinstance(one, Manifest)}
    left = {hour for hour, why in plan.why.items() if not has_come(verdicts.get(hour), why, plan.now)}
    transfer.failures |= _failures(endings, left)
    quiet = [hour for hour in sorted(left - transfer.failures.keys()) if plan.why[hour] is Why.MISSING]
    if lake.identity() is None:
        transfer.unclaimed = quiet
    else:
        # A part that ended well would have committed an old hour without files as empty.
        whose = in_share(list(endings))
        quiet_in_green = [hour for hour in quiet if endings[whose[hour]].complete]
        lost = [hour for hour in quiet_in_green if believe_no_data(hour, plan.now, rules=rules)]
        transfer.failures |= dict.fromkeys(lost, LOST)
        transfer.unpublished = [hour for hour in quiet if hour not in transfer.failures]
    if not_begun := [share for share, ending in endings.items() if not ending.begun]:
        last = [ending.reason for ending in endings.values() if ending.reason and ending.begun][-1]
        said = last.partition("\n")[0]
        msg = f"{endings[not_begun[0]].reason}, so no more were started. The last one said: {said}"
        transfer.stopped_by = RunFailed(msg)
        stopped = str(transfer.stopped_by)
        transfer.failures |= {hour: stopped for share in not_begun for hour in share.hours if hour in left}
    return transfer


def _failures(endings: Mapping[Share, Ending], left: Collection[ExportHour]) -> dict[ExportHour, str]:
    """Why hours did not come, as the runs that were to bring them said at their end; or came miscounted."""
    shares = in_share(list(endings))
    failures: dict[ExportHour, str] = {}
    told = {share: reasons_in(ending.reason) for share, ending in endings.items() if not ending.complete}
    for reasons in told.values():
        failures |= {
            hour: reason
            for hour, reason in reasons.by_hour.items()
            if hour in left or (hour in shares and is_miscount(reason))
        }
    for hour in sorted(left):
        ending = endings[shares[hour]]
        if hour in failures or ending.complete or not ending.begun:
            continue
        if (stopped_by := told[shares[hour]].stopped_by) is not None:
            failures[hour] = stopped_by
    return failures
