"""What a run did, and whether it is green."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from core.errors import InvalidInput, PipelineError, RunFailed
from core.hours import MAX_WINDOW_HOURS, ExportHour, ExportWindow, windows_of
from core.planning import Plan
from core.timing import Timed
from core.transfer import Step, Transfer, busy
from core.warehouse.loader import LoadReceipt, Reconciliation
from core.wording import counted, listed


@dataclass(slots=True, kw_only=True)
class LakeReport:
    """What ingest and gap-fill have in common: hours through the lake into the warehouse.

    Attributes:
        wanted: First to last hour that the run answers for.
        explicit: Whether the caller named the range, so that hours left out are a failure.
        load: None without a warehouse.
        reconciliation: None without a warehouse, or if nothing was counted.
        stopped_by: What ended the run after the transfer.
    """

    wanted: ExportWindow
    transfer: Transfer
    explicit: bool
    load: Timed[LoadReceipt] | None = None
    reconciliation: Timed[Reconciliation] | None = None
    stopped_by: PipelineError | None = None

    @property
    def unpublished(self) -> list[ExportHour]:
        """Hours without files that are too young to be called empty, oldest first."""
        return self.transfer.unpublished

    @property
    def touched(self) -> list[ExportHour]:
        """Hours that this run committed or loaded, oldest first."""
        loaded = self.load.receipt.loaded if self.load else {}
        return sorted({manifest.hour for manifest in self.transfer.manifests} | loaded.keys())

    @property
    def hours_to_count(self) -> list[ExportHour]:
        """Hours whose rows are compared with the lake: all of the range, if the run touched any."""
        return list(self.wanted) if self.touched else []

    @property
    def loaded_events(self) -> int:
        """Of the hours that this run has loaded, each compared with what COPY stated."""
        return sum(self.load.receipt.loaded.values()) if self.load else 0

    @property
    def suspects(self) -> list[ExportHour]:
        """Hours that a second load may mend: their rows differ, and no load of them has failed."""
        if self.load is None or self.reconciliation is None:
            return []
        return sorted(self.reconciliation.receipt.mismatches.keys() - self.load.receipt.failures.keys())

    def problems(self) -> dict[ExportHour, str]:
        """Why an hour is not where it should be; empty for a green run."""
        found = self.transfer.miscounted()
        if self.reconciliation:
            found |= self.reconciliation.receipt.mismatches
        if self.load:
            found |= self.load.receipt.failures
        found |= self.transfer.failures
        if self.explicit:
            found |= dict.fromkeys(self.unpublished, "is not published yet: Amplitude has no files for it")
        return dict(sorted(found.items()))

    @property
    def is_green(self) -> bool:
        """Whether every hour is where it should be, and nothing ended the run early."""
        return not (self.stopped_by or self.transfer.stopped_by or self.problems())

    def raise_if_failed(self) -> None:
        """Raise what ended the run, RunFailed with every hour and its reason, or nothing for a green run."""
        raise_for(
            self.problems(), of=len(self.wanted), stopped_by=self.transfer.stopped_by or self.stopped_by
        )

    def warnings(self) -> list[str]:
        """What a green run should still say."""
        found = []
        if self.unpublished:
            found.append(f"not yet published, asked for again by the next run: {listed(self.unpublished)}")
        if self.transfer.unclaimed:
            found.append(f"no archive yet, so nothing is committed: {listed(self.transfer.unclaimed)}")
        if self.reconciliation and self.reconciliation.receipt.pending:
            found.append(
                f"replaced meanwhile, loaded by the next run: {listed(self.reconciliation.receipt.pending)}"
            )
        return found

    def steps(self) -> list[Step]:
        """What each step moved, and how long it took."""
        steps = self.transfer.steps_to_lake()
        if self.load and self.loaded_events:
            loaded, manifests = self.load.receipt.loaded, self.transfer.manifests
            size = sum(manifest.json_bytes for manifest in manifests if manifest.hour in loaded)
            steps.append(Step("load", f"{self.loaded_events:,} rows", size, busy([self.load])))
        return steps


@dataclass(slots=True, kw_only=True)
class IngestReport(LakeReport):
    """Everything that an ingest has to say."""

    plan: Plan

    def problems(self) -> dict[ExportHour, str]:
        """As of every run; and the hours that were cut, if the caller named the range."""
        found = LakeReport.problems(self)
        if self.explicit:
            found |= dict.fromkeys(
                self.plan.left, "was not asked for: it is more than max_hours_per_run allows"
            )
        return dict(sorted(found.items()))

    def warnings(self) -> list[str]:
        """As of every run; and the hours that are given up, or left to gap-fill."""
        found = LakeReport.warnings(self)
        if self.plan.given_up:
            found.append(f"given up, and not asked for: {listed(self.plan.given_up)}")
        if self.plan.left:
            first, last = self.plan.left[0], self.plan.left[-1]
            found.append(
                f"not asked for, for one run takes max_hours_per_run: {listed(self.plan.left)}. Left to "
                f"gap-fill; now: python -m flows.gap_fill --start {first} --end {last}"
            )
        if self.plan.behind:
            first, last = self.plan.behind[0], self.plan.behind[-1]
            found.append(
                f"missing since before this run's range, and not asked for: {listed(self.plan.behind)}. "
                f"Left to gap-fill; now: python -m flows.gap_fill --start {first} --end {last}"
            )
        return found


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """Everything that an extract has to say."""

    wanted: ExportWindow
    transfer: Transfer

    @property
    def is_green(self) -> bool:
        """Whether every hour that has files was extracted."""
        return not (self.transfer.failures or self.transfer.stopped_by)

    def raise_if_failed(self) -> None:
        """Raise what ended the run, RunFailed with every hour and its reason, or nothing for a green run."""
        failures = dict(sorted(self.transfer.failures.items()))
        raise_for(failures, of=len(self.wanted), stopped_by=self.transfer.stopped_by)

    def warnings(self) -> list[str]:
        """What a green run should still say."""
        quiet = self.transfer.quiet
        return [f"Amplitude has no files for {listed(quiet)}: empty, or not yet published"] if quiet else []

    def steps(self) -> list[Step]:
        """What each step moved, and how long it took."""
        return self.transfer.steps_to_folder()


def raise_for(problems: Mapping[ExportHour, str], *, of: int, stopped_by: PipelineError | None) -> None:
    """Raise what ended a run early; and RunFailed, if there are hours with a reason of their own to name."""
    own = {hour: reason for hour, reason in problems.items() if reason != str(stopped_by)}
    if not own:
        if stopped_by:
            raise stopped_by
        return
    # Further lines of a reason are set in more, so that none is taken for another hour's.
    lines = "\n".join(
        f"  {window}: {reason.replace(_NEW_LINE, _SET_IN)}" for window, reason in told_once(own)
    )
    msg = f"{len(own)} of {counted(of, 'hour')} failed:\n{lines}"
    if stopped_by:
        msg = f"{stopped_by}\nBesides, {msg}"
    raise RunFailed(msg)


def told_once(problems: Mapping[ExportHour, str]) -> Iterator[tuple[ExportWindow, str]]:
    """Each reason, and the hours in a row that have it; oldest first."""
    for reason, hours in groupby(sorted(problems.items()), key=itemgetter(1)):
        for window in windows_of((hour for hour, _ in hours), window_hours=MAX_WINDOW_HOURS):
            yield window, reason


_NEW_LINE, _SET_IN = "\n", "\n    "
_FAILED = re.compile(
    r"(?:(?P<stopped_by>.*)\nBesides, )?[0-9]+ of [0-9,]+ hours? failed:\n(?P<hours>  [0-9]{4}-.*)", re.DOTALL
)
_HOUR = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}"
_REASON = re.compile(rf"^  ({_HOUR}(?:…(?:T[0-9]{{2}}|{_HOUR}))?): ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reasons:
    """What a failed run has said.

    Attributes:
        stopped_by: What ended it early; None if nothing did.
    """

    stopped_by: str | None
    by_hour: Mapping[ExportHour, str]


def reasons_in(message: str) -> Reasons:
    """Read the message of an error of :func:`raise_for`, all that one run tells another; or any text."""
    found = _FAILED.fullmatch(message)
    if found is None:
        return Reasons(message, {})
    _, *pairs = _REASON.split(found["hours"])
    told = zip(pairs[::2], pairs[1::2], strict=True)
    try:
        by_hour = {
            hour: reason.removesuffix("\n").replace(_SET_IN, _NEW_LINE)
            for hours, reason in told
            for hour in ExportWindow.parse(hours)
        }
    except InvalidInput:
        return Reasons(message, {})
    return Reasons(found["stopped_by"], by_hour)
