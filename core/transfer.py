"""What came from Amplitude, and where it went."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.amplitude.export import ExportedWindow
from core.errors import PipelineError
from core.hours import ExportHour
from core.lake.manifest import Manifest
from core.timing import Span, Timed, busy_seconds
from core.unpacking import ExtractedHour, UnpackedHour
from core.wording import counted

#: What :meth:`Transfer.miscounted` says of an hour.
_MISCOUNT = re.compile(r"had [0-9,]+ events, its manifest [0-9,]+")


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
        damaged: Hours that came with broken gzip at least once.
        largest_window_hours: Larger windows than this did not work; None if none was too large.
        stopped_by: What would have been the same for every hour, and ended the transfer early.
        parts_of_plan: How many runs of their own brought it, in words, and when; None if this one did.
    """

    downloads: list[Timed[ExportedWindow]] = field(default_factory=list)
    unpacked: list[Timed[UnpackedHour]] = field(default_factory=list)
    committed: list[Timed[Manifest]] = field(default_factory=list)
    extracted: list[Timed[ExtractedHour]] = field(default_factory=list)
    quiet: list[ExportHour] = field(default_factory=list)
    unpublished: list[ExportHour] = field(default_factory=list)
    unclaimed: list[ExportHour] = field(default_factory=list)
    failures: dict[ExportHour, str] = field(default_factory=dict)
    damaged: set[ExportHour] = field(default_factory=set)
    largest_window_hours: int | None = None
    stopped_by: PipelineError | None = None
    parts_of_plan: Timed[str] | None = None

    @property
    def manifests(self) -> list[Manifest]:
        """What was committed."""
        return [timed.receipt for timed in self.committed]

    @property
    def source_events(self) -> int:
        """Counted while gunzipping."""
        return sum(timed.receipt.events for timed in self.unpacked)

    @property
    def lake_events(self) -> int:
        """Stated by the manifests that were written."""
        return sum(manifest.events for manifest in self.manifests)

    def miscounted(self) -> dict[ExportHour, str]:
        """Hours whose manifest states another number of events than was gunzipped."""
        counted_events = {timed.receipt.hour: timed.receipt.events for timed in self.unpacked}
        return {
            manifest.hour: f"had {counted_events[manifest.hour]:,} events, its manifest {manifest.events:,}"
            for manifest in self.manifests
            if counted_events.get(manifest.hour, manifest.events) != manifest.events
        }

    def steps_to_lake(self) -> list[Step]:
        """Download, gunzip and upload."""
        unzipped = sum(timed.receipt.json_bytes for timed in self.unpacked)
        objects = sum(manifest.size_bytes for manifest in self.manifests)
        parts = counted(sum(len(manifest.parts) for manifest in self.manifests), "part")
        manifests = counted(len(self.committed), "manifest")
        if self.parts_of_plan:
            what = f"{self.parts_of_plan.receipt}: {self.lake_events:,} events, {manifests}"
            return [Step("fan out", what, objects, busy([self.parts_of_plan]))]
        return [
            self._download(),
            Step("gunzip", f"{self.source_events:,} events", unzipped, busy(self.unpacked)),
            Step("upload", f"{parts}, {manifests}", objects, busy(self.committed)),
        ]

    def steps_to_folder(self) -> list[Step]:
        """Download and extract."""
        extracted = [timed.receipt for timed in self.extracted]
        written, kept = (sum(len(getattr(hour, what)) for hour in extracted) for what in ("written", "kept"))
        json_bytes = sum(hour.json_bytes for hour in extracted)
        files = f"{counted(written, 'file')} written, {kept} kept"
        return [self._download(), Step("extract", files, json_bytes, busy(self.extracted))]

    def _download(self) -> Step:
        archives = sum(timed.receipt.size_bytes for timed in self.downloads)
        requests = sum(timed.receipt.requests for timed in self.downloads)
        return Step("download", counted(requests, "request"), archives, busy(self.downloads))


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a run's summary.

    Attributes:
        seconds: How long at least one task of this step was under way.
    """

    name: str
    what: str
    size_bytes: int
    seconds: float


def busy(timed: Iterable[Timed[object]]) -> float:
    """How long at least one of these was under way, in seconds."""
    spans: list[Span] = [one.span for one in timed]
    return busy_seconds(spans)


def is_miscount(reason: str) -> bool:
    """Whether a reason tells of such an hour: it has come, all the same."""
    return _MISCOUNT.fullmatch(reason) is not None
