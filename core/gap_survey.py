"""Look at the lake and plan a gap-fill; and look again when it is done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from core.errors import HourUnusable, InvalidInput
from core.estimate import Estimate, estimate
from core.gap_wishes import GapWishes
from core.gaps import GapPlan, gap_window, hours_to_verify, plan_gaps
from core.hours import ExportHour, ExportWindow
from core.lake.identity import LakeIdentity
from core.lake.manifest import Manifest
from core.lake.marks import accept_smaller
from core.lake.reading import read_manifests
from core.lake.store import Lake
from core.lake.verdict import HourVerdict, verdicts_of
from core.lake.verify import damaged_hours
from core.planning import FIRST_HOUR, PlanRules, check_range
from core.wording import counted, listed


@dataclass(frozen=True, slots=True)
class GapSurvey:
    """A plan, and whose events the lake holds.

    Attributes:
        estimate: What the plan would cost, for a dry run.
        accepted: How an hour has shrunk whose smaller export counts from now on, because the caller said so.
    """

    plan: GapPlan
    identity: LakeIdentity | None
    estimate: Estimate | None = None
    accepted: Mapping[ExportHour, str] = field(default_factory=dict)

    def told(self) -> list[tuple[str, str]]:
        """The plan in words: a label and a text for each line."""
        plan = self.plan
        lines = [("Wanted", f"{plan.wanted} ({counted(len(plan.wanted), 'hour')})")]
        lines += [("Export", reason) for reason in plan.reasons()]
        if plan.windows:
            lines.append(("Windows", ", ".join(map(str, plan.windows))))
        lines += [("Damaged", f"{hour}: {how}") for hour, how in plan.damaged.items()]
        if plan.resting:
            resting = counted(len(plan.resting), "hour")
            lines.append(("Resting", f"{resting}, to be settled by a later run: {listed(plan.resting)}"))
        if self.estimate and plan.why:
            lines.append(("Cost", str(self.estimate)))
        return lines


@dataclass(frozen=True, slots=True)
class Review:
    """What the lake holds of a range after a gap-fill, beside its content.

    Attributes:
        shrunk: How an hour holds fewer events than before, and was not accepted.
        given_up: Why somebody gave an hour up.
    """

    shrunk: Mapping[ExportHour, str]
    given_up: Mapping[ExportHour, str]


def survey_gaps(lake: Lake, now: datetime, wishes: GapWishes, *, rules: PlanRules) -> GapSurvey:
    """Plan what a gap-fill exports, write down from where on hours are wanted, and accept what has shrunk.

    The last only if the caller says so. A dry run writes nothing, and estimates the cost of the plan instead.

    Costs one list request for each thousand manifests of the range, or of the history if no start was given;
    and what :func:`core.lake.verify.damaged_hours` costs for the hours that are verified. Safe to repeat.

    Args:
        now: The run's actual start, aware.

    Raises:
        InvalidInput: The range cannot be, nothing was ever asked for, or lines are to be rejected of an hour
            that is given up. Permanent.
        LakeUnavailable: Transient. LakeRefused, LakeConflict: Permanent.
    """
    check_range(now, wishes.first, wishes.last)
    known = lake.wanted_from()
    newest = ExportHour.newest_complete(now)
    verdicts = verdicts_of(lake.manifest_names(wishes.first or FIRST_HOUR, wishes.last or newest))
    starts = [hour for hour, verdict in verdicts.items() if verdict.is_committed]
    since = min([*starts, *([known] if known else [])], default=None)
    wanted = gap_window(now, first=wishes.first, last=wishes.last, since=since)
    for hour in wishes.reject:
        if hour in verdicts and verdicts[hour].given_up:
            msg = f"{hour} was given up, so nothing of it is loaded: add --retry {hour}."
            raise InvalidInput(msg)
    if not (wishes.dry_run or wishes.only_named) and (known is None or wanted.first < known):
        lake.want_from(wanted.first)
    accepted: dict[ExportHour, str] = {}
    if wishes.accept_smaller:
        accepted = _accept(lake, [verdicts[hour] for hour in wanted if hour in verdicts])
        verdicts |= verdicts_of(
            name for name in lake.manifest_names(wanted.first, wanted.last) if name.hour in accepted
        )
    to_verify = hours_to_verify(now, wanted, rules=rules, whole=wishes.verify)
    plan = plan_gaps(
        now,
        wanted,
        verdicts,
        rules=rules,
        settle=wishes.settle,
        damaged=_damaged(lake, verdicts, to_verify),
        to_verify=tuple(to_verify),
        asked=wishes.retry,
    )
    cost = estimate(lake, plan, verdicts) if wishes.dry_run else None
    return GapSurvey(plan, lake.identity(), cost, accepted)


def review(lake: Lake, wanted: ExportWindow) -> Review:
    """Name the hours of a range that have shrunk and were not accepted, and those that are given up.

    Raises:
        LakeUnavailable: Transient. LakeRefused, LakeConflict: Permanent.
    """
    verdicts = verdicts_of(lake.manifest_names(wanted.first, wanted.last))
    shrunk = {
        hour: f"{_how_shrunk(verdict)}. The larger export stays. If the smaller one is right: python -m "
        f"flows.gap_fill --accept-smaller --start {hour} --end {hour}"
        for hour, verdict in verdicts.items()
        if verdict.shrunk and not verdict.given_up
    }
    return Review(shrunk, _given_up(lake, verdicts))


def _accept(lake: Lake, verdicts: Iterable[HourVerdict]) -> dict[ExportHour, str]:
    """Accept what has shrunk so far; what a later export brings, nobody has seen yet.

    An hour whose smaller manifest is damaged stays as it is, and is named by :func:`review`: it waits for
    another export.
    """
    accepted: dict[ExportHour, str] = {}
    for verdict in verdicts:
        if verdict.shrunk and not verdict.given_up:
            with suppress(HourUnusable):
                accept_smaller(lake, verdict)
                accepted[verdict.hour] = _how_shrunk(verdict)
    return accepted


def _damaged(
    lake: Lake, verdicts: Mapping[ExportHour, HourVerdict], hours: Collection[ExportHour]
) -> dict[ExportHour, str]:
    names = [
        verdict.content
        for hour in hours
        if (verdict := verdicts.get(hour)) and verdict.content and not verdict.given_up
    ]
    return damaged_hours(lake, names)


def _how_shrunk(verdict: HourVerdict) -> str:
    held, now = verdict.content.events if verdict.content else 0, verdict.shrunk[-1]
    return f"held {held:,} events and, exported again at {now.exported_at:%Y-%m-%dT%H:%MZ}, {now.events:,}"


def _given_up(lake: Lake, verdicts: Mapping[ExportHour, HourVerdict]) -> dict[ExportHour, str]:
    """Why each hour was given up, and what is left of it."""
    marks = read_manifests(lake, [verdict.give_up for verdict in verdicts.values() if verdict.give_up])
    reasons = {}
    for name, mark in marks.items():
        reasons[name.hour] = mark.reason if isinstance(mark, Manifest) else str(mark)
        content = verdicts[name.hour].content
        if content is not None:
            kept = (
                f"the lake keeps its {content.events:,} events, the table stays as it is; --retry ends that"
            )
            reasons[name.hour] += f" ({kept})"
    return reasons
