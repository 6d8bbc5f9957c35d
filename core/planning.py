"""Which hours to export: wanted less committed, never "everything after the newest key".

Time comes in as an argument. What the lake holds comes in as verdicts, made from the listing of
manifests; no body is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.errors import InvalidInput
from core.hours import FIRST_HOURLY_DAY, ExportHour, ExportWindow, hours_between, windows_of
from core.lake.verdict import HourVerdict

_EMPTY_AFTER_WITHOUT_SETTLING = timedelta(hours=24)
FIRST_HOUR = ExportHour(
    datetime(FIRST_HOURLY_DAY.year, FIRST_HOURLY_DAY.month, FIRST_HOURLY_DAY.day, tzinfo=UTC)
)


@dataclass(frozen=True, slots=True)
class PlanRules:
    """The settings that planning obeys; their meaning is with the pipeline block's fields."""

    initial_days: int = 7
    lookback_hours: int = 48
    max_hours_per_run: int = 168
    window_hours: int = 24
    settle_hours: int = 24
    empty_after_hours: int = 6
    verify_days: int = 7

    @property
    def settle(self) -> timedelta:
        """How long an hour rests after its end before it is exported once more; zero: never."""
        return timedelta(hours=self.settle_hours)

    @property
    def empty_after(self) -> timedelta:
        """How old an hour must have been when it was asked for, for "no data" to be believed."""
        if not self.settle_hours:
            return max(_EMPTY_AFTER_WITHOUT_SETTLING, timedelta(hours=self.empty_after_hours))
        return timedelta(hours=self.empty_after_hours)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is going to do.

    Guarantees: ``windows`` cover every hour of ``missing`` once and nothing else; ``missing`` and
    ``left`` are disjoint, lie in ``wanted``, and hold no hour that is committed or not complete.

    Attributes:
        now: The moment it was made for, UTC.
        wanted: First to last hour that the run answers for.
        missing: What will be exported, the newest of what is missing, oldest first.
        left: Missing as well, beyond what one run takes, oldest first.
        windows: Oldest first: if the run is killed, the next one goes on from where it ended.
        behind: Missing as well, from before ``wanted``: what earlier runs did not bring.
        given_up: Of the wanted hours; somebody said not to ask for them.
    """

    now: datetime
    wanted: ExportWindow
    missing: tuple[ExportHour, ...]
    left: tuple[ExportHour, ...]
    windows: tuple[ExportWindow, ...]
    behind: tuple[ExportHour, ...] = ()
    given_up: tuple[ExportHour, ...] = ()


def check_range(now: datetime, first: ExportHour | None, last: ExportHour | None) -> None:
    """Make sure that what a caller asks for can be, before anything is counted from it.

    Raises:
        InvalidInput: The end lies before the start, an hour is not complete yet, or lies before
            Amplitude's files were hourly. Permanent.
    """
    newest = ExportHour.newest_complete(now)
    for hour in (first, last):
        if hour is not None and hour > newest:
            when = (
                "lies in the future"
                if hour.start > now
                else f"is complete at {hour.complete_at:%Y-%m-%dT%H:%MZ}"
            )
            msg = f"{hour} {when}. The newest hour that can be exported now is {newest}."
            raise InvalidInput(msg)
        if hour is not None and hour < FIRST_HOUR:
            msg = f"Before {FIRST_HOURLY_DAY} Amplitude's files hold whole days: {hour} is not one hour."
            raise InvalidInput(msg)
    if first is not None and last is not None:
        ExportWindow(first, last)


def wanted_window(
    now: datetime,
    *,
    first: ExportHour | None,
    last: ExportHour | None,
    newest_committed: ExportHour | None,
    rules: PlanRules,
) -> ExportWindow:
    """The hours that an ingest answers for.

    Args:
        now: The run's actual start, aware.
        first: Asked for by the caller; None: ``lookback_hours`` before the newest committed hour, and
            ``initial_days`` back on an empty lake.
        last: Asked for by the caller; None: the newest complete hour.

    Raises:
        InvalidInput: See :func:`check_range`. Permanent.
    """
    check_range(now, first, last)
    end = last or ExportHour.newest_complete(now)
    if first is None:
        if newest_committed is None:
            first = end - (rules.initial_days * 24 - 1)
        else:
            first = min(newest_committed, end) - rules.lookback_hours
        first = max(first, FIRST_HOUR)
    return ExportWindow(first, end)


def plan_missing(
    now: datetime,
    wanted: ExportWindow,
    verdicts: Mapping[ExportHour, HourVerdict],
    *,
    rules: PlanRules,
    wanted_since: ExportHour | None = None,
) -> Plan:
    """Plan the export of the wanted hours that are not committed, as many as one run takes.

    Args:
        verdicts: Of at least the wanted hours that have manifests, and of those since ``wanted_since``.
        wanted_since: An earlier hour from which on hours have been wanted by other runs.
    """

    def missing_in(hours: Iterable[ExportHour]) -> tuple[ExportHour, ...]:
        return tuple(hour for hour in hours if hour not in verdicts or not verdicts[hour].is_committed)

    missing = missing_in(wanted)
    cut = max(0, len(missing) - rules.max_hours_per_run)
    windows = tuple(windows_of(missing[cut:], window_hours=rules.window_hours))
    behind = missing_in(hours_between(wanted_since, wanted.first - 1)) if wanted_since else ()
    given_up = tuple(hour for hour in wanted if hour in verdicts and verdicts[hour].given_up)
    return Plan(now, wanted, missing[cut:], missing[:cut], windows, behind, given_up)


def believe_no_data(hour: ExportHour, exported_at: datetime, *, rules: PlanRules) -> bool:
    """Whether an hour without files was empty, rather than not yet published, when it was asked for."""
    return exported_at - hour.start >= rules.empty_after
