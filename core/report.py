"""What a run did, and whether it is green."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core.amplitude.export import ExportedWindow
from core.errors import PipelineError, RunFailed
from core.hours import ExportHour, ExportWindow
from core.lake.manifest import Manifest
from core.planning import Plan
from core.timing import Span, Timed, busy_seconds
from core.unpacking import ExtractedHour, UnpackedHour
from core.warehouse.loader import LoadReceipt, Reconciliation
from core.wording import counted, listed


@dataclass(slots=True)
class Transfer:
    """What came from Amplitude, and where it went.

    Attributes:
        committed: Into the lake.
        extracted: Into a local folder.
        quiet: Hours without files, extracted to nothing.
        unpublished: Hours without files that are too young to be called empty.
        unclaimed: Hours without files on a lake that no archive has opened yet.
        failures: Why an hour did not arrive.
        stopped_by: What would have been the same for every hour, and ended the transfer early.
    """

    downloads: list[Timed[ExportedWindow]] = field(default_factory=list)
    unpacked: list[Timed[UnpackedHour]] = field(default_factory=list)
    committed: list[Timed[Manifest]] = field(default_factory=list)
    extracted: list[Timed[ExtractedHour]] = field(default_factory=list)
    quiet: list[ExportHour] = field(default_factory=list)
    unpublished: list[ExportHour] = field(default_factory=list)
    unclaimed: list[ExportHour] = field(default_factory=list)
    failures: dict[ExportHour, str] = field(default_factory=dict)
    stopped_by: PipelineError | None = None

    @property
    def manifests(self) -> list[Manifest]:
        """What was committed."""
        return [timed.receipt for timed in self.committed]


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the summary.

    Attributes:
        seconds: How long at least one task of this step was under way.
    """

    name: str
    what: str
    size_bytes: int
    seconds: float


@dataclass(slots=True)
class IngestReport:
    """Everything that an ingest has to say.

    Attributes:
        explicit: Whether the caller named the range, so that hours left out are a failure.
        load: None without a warehouse.
        reconciliation: None without a warehouse, or if nothing was touched.
        stopped_by: What ended loading early.
    """

    plan: Plan
    transfer: Transfer
    explicit: bool
    load: Timed[LoadReceipt] | None = None
    reconciliation: Timed[Reconciliation] | None = None
    stopped_by: PipelineError | None = None

    @property
    def touched(self) -> list[ExportHour]:
        """Hours that this run committed or loaded, oldest first."""
        loaded = self.load.receipt.loaded if self.load else {}
        return sorted({manifest.hour for manifest in self.transfer.manifests} | loaded.keys())

    @property
    def source_events(self) -> int:
        """Counted while gunzipping."""
        return sum(timed.receipt.events for timed in self.transfer.unpacked)

    @property
    def lake_events(self) -> int:
        """Stated by the manifests that were written."""
        return sum(manifest.events for manifest in self.transfer.manifests)

    @property
    def loaded_events(self) -> int:
        """Of the hours that this run has loaded, each compared with what COPY stated."""
        return sum(self.load.receipt.loaded.values()) if self.load else 0

    def problems(self) -> dict[ExportHour, str]:
        """Why an hour is not where it should be; empty for a green run."""
        found = self._miscounted()
        if self.reconciliation:
            found |= self.reconciliation.receipt.mismatches
        if self.load:
            found |= self.load.receipt.failures
        found |= self.transfer.failures
        if self.explicit:
            found |= dict.fromkeys(
                self.transfer.unpublished, "is not published yet: Amplitude has no files for it"
            )
            found |= dict.fromkeys(
                self.plan.left, "was not asked for: it is more than max_hours_per_run allows"
            )
        return dict(sorted(found.items()))

    @property
    def suspects(self) -> list[ExportHour]:
        """Hours that a second load may mend: their rows differ, and no load of them has failed."""
        if self.load is None or self.reconciliation is None:
            return []
        return sorted(self.reconciliation.receipt.mismatches.keys() - self.load.receipt.failures.keys())

    def _miscounted(self) -> dict[ExportHour, str]:
        """Hours whose manifest states another number of events than was gunzipped."""
        counted_events = {timed.receipt.hour: timed.receipt.events for timed in self.transfer.unpacked}
        return {
            manifest.hour: f"had {counted_events[manifest.hour]:,} events, its manifest {manifest.events:,}"
            for manifest in self.transfer.manifests
            if counted_events.get(manifest.hour, manifest.events) != manifest.events
        }

    def raise_if_failed(self) -> None:
        """Raise what ended the run, RunFailed with every hour and its reason, or nothing for a green run."""
        raise_for(
            self.problems(), of=len(self.plan.wanted), stopped_by=self.transfer.stopped_by or self.stopped_by
        )

    def warnings(self) -> list[str]:
        """What a green run should still say."""
        found = []
        if self.transfer.unpublished:
            found.append(
                f"not yet published, asked for again by the next run: {listed(self.transfer.unpublished)}"
            )
        if self.transfer.unclaimed:
            found.append(f"no archive yet, so nothing is committed: {listed(self.transfer.unclaimed)}")
        if self.plan.left:
            first, last = self.plan.left[0], self.plan.left[-1]
            found.append(
                f"not asked for, for one run takes max_hours_per_run: {listed(self.plan.left)}. Later runs "
                f"look back lookback_hours only: run with --start {first} --end {last}"
            )
        if self.plan.behind:
            first, last = self.plan.behind[0], self.plan.behind[-1]
            found.append(
                f"missing since before this run's range, and not asked for: {listed(self.plan.behind)}. "
                f"Run with --start {first} --end {last}"
            )
        if self.reconciliation and self.reconciliation.receipt.pending:
            found.append(
                f"replaced meanwhile, loaded by the next run: {listed(self.reconciliation.receipt.pending)}"
            )
        return found

    def steps(self) -> list[Step]:
        """What each step moved, and how long it took."""
        transfer = self.transfer
        archives = sum(timed.receipt.size_bytes for timed in transfer.downloads)
        unzipped = sum(timed.receipt.json_bytes for timed in transfer.unpacked)
        objects = sum(manifest.size_bytes for manifest in transfer.manifests)
        parts = sum(len(manifest.parts) for manifest in transfer.manifests)
        requests = sum(timed.receipt.requests for timed in transfer.downloads)
        steps = [
            Step("download", counted(requests, "request"), archives, _busy(transfer.downloads)),
            Step("gunzip", f"{self.source_events:,} events", unzipped, _busy(transfer.unpacked)),
            Step(
                "upload",
                f"{counted(parts, 'part')}, {counted(len(transfer.committed), 'manifest')}",
                objects,
                _busy(transfer.committed),
            ),
        ]
        if self.load and self.loaded_events:
            loaded = self.load.receipt.loaded
            size = sum(manifest.json_bytes for manifest in transfer.manifests if manifest.hour in loaded)
            steps.append(Step("load", f"{self.loaded_events:,} rows", size, _busy([self.load])))
        return steps


def raise_for(problems: Mapping[ExportHour, str], *, of: int, stopped_by: PipelineError | None) -> None:
    """Raise what ended a run early; and RunFailed, if there are hours with a reason of their own to name."""
    own = {hour: reason for hour, reason in problems.items() if reason != str(stopped_by)}
    if not own:
        if stopped_by:
            raise stopped_by
        return
    lines = "\n".join(f"  {hour}: {reason}" for hour, reason in own.items())
    msg = f"{len(own)} of {counted(of, 'hour')} failed:\n{lines}"
    if stopped_by:
        msg = f"{stopped_by}\nBesides, {msg}"
    raise RunFailed(msg)


def _busy(timed: Iterable[Timed[object]]) -> float:
    spans: list[Span] = [one.span for one in timed]
    return busy_seconds(spans)


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """Everything that an extract has to say."""

    wanted: ExportWindow
    transfer: Transfer

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
        extracted = [timed.receipt for timed in self.transfer.extracted]
        archives = sum(timed.receipt.size_bytes for timed in self.transfer.downloads)
        requests = sum(timed.receipt.requests for timed in self.transfer.downloads)
        written, kept = (sum(len(getattr(hour, what)) for hour in extracted) for what in ("written", "kept"))
        json_bytes = sum(hour.json_bytes for hour in extracted)
        return [
            Step("download", counted(requests, "request"), archives, _busy(self.transfer.downloads)),
            Step(
                "extract",
                f"{counted(written, 'file')} written, {kept} kept",
                json_bytes,
                _busy(self.transfer.extracted),
            ),
        ]
