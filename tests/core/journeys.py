"""All of ingest, gap-fill and extract on core, over the emulators, without Prefect."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from core.amplitude.client import ExportClient
from core.conveyor import Belt, move_into_folder
from core.gap_wishes import GapWishes
from core.hours import ExportHour, ExportWindow, windows_of
from core.lake.layout import Compression
from core.lake.verdict import verdicts_of
from core.planning import PlanRules
from core.report import ExtractReport
from emulators.amplitude import AmplitudeEmulator
from tests.core.crews import Threads
from tests.core.lakes import Pond
from tests.core.passages import Passage
from tests.core.warehouses import Schema

#: Makes a journey: ``travel(now, source={…}, server={…}, **journey)``.
Travel = Callable[..., "Journey"]

#: uuid, export hour, hash of the canonical event.
Row = tuple[str, str, str]

_runs = itertools.count(1)


@dataclass
class Journey:
    """One Amplitude project, its lake and its schema, and a clock that the test moves.

    Every journey raises what ends it, as a flow does; if it returns, it is green.

    Attributes:
        now: What the time is, for the runs and for Amplitude.
        folder: Where extracts go.
        reports: What every run had to say, in order.
    """

    amplitude: AmplitudeEmulator
    pond: Pond
    schema: Schema
    folder: Path
    now: datetime
    rules: PlanRules = field(default_factory=PlanRules)
    with_warehouse: bool = True
    compression: Compression = "none"
    reports: list[Any] = field(default_factory=list)

    def ingest(self, first: ExportHour | None = None, last: ExportHour | None = None) -> None:
        """What flows.ingest does."""
        with self._passage() as passage:
            report = passage.ingest(first, last)
        passage.load(report)
        self._conclude(report)

    def gap_fill(
        self, first: ExportHour | None = None, last: ExportHour | None = None, **wishes: Any
    ) -> None:
        """What flows.gap_fill does."""
        asked = GapWishes(first, last, **wishes)
        with self._passage() as passage:
            report = passage.gap_fill(asked)
        passage.load(report, asked.reject)
        self._conclude(report)

    def extract(self, first: ExportHour, last: ExportHour) -> None:
        """What flows.extract does."""
        wanted = ExportWindow(first, last)
        with self._crew() as (crew, belt):
            transfer = move_into_folder(windows_of(wanted, window_hours=self.rules.window_hours), crew, belt)
        self._conclude(ExtractReport(wanted, transfer))

    def table(self) -> list[Row]:
        """What events_raw holds, sorted."""
        found = self.schema.ask("""SELECT event, TO_CHAR(export_hour, 'YYYY-MM-DD"T"HH24') FROM events_raw""")
        return sorted(_row(json.loads(event), hour) for event, hour in found)

    def lake(self, first: ExportHour, last: ExportHour) -> list[Row]:
        """What the manifests that count say the lake holds, read from its objects, sorted."""
        lake, rows = self.pond.lake, []
        for hour, verdict in verdicts_of(lake.manifest_names(first, last)).items():
            if verdict.content is not None:
                for part in lake.read_manifest(verdict.content).parts:
                    body = self.pond.get(part.key)
                    lines = (gzip.decompress(body) if part.key.endswith(".gz") else body).splitlines()
                    rows += [_row(json.loads(line), str(hour)) for line in lines if line.strip()]
        return sorted(rows)

    def files(self) -> list[Row]:
        """What the folder of extracts holds, sorted."""
        rows = []
        for path in self.folder.glob("*.json"):
            _, day, hour, _ = path.stem.split("_")
            lines = path.read_bytes().splitlines()
            rows += [_row(json.loads(line), f"{day}T{int(hour):02d}") for line in lines if line.strip()]
        return sorted(rows)

    def truth(self, first: ExportHour, last: ExportHour, *, at: datetime | None = None) -> list[Row]:
        """What Amplitude holds, as it was at some moment; now if none is given."""
        source = self.amplitude.source
        window = ExportWindow(first, last)
        return sorted(
            (one.uuid, one.export_hour, one.sha256)
            for hour in window
            for one in source.truth(hour, at=at or self.now)
        )

    def _conclude(self, report: Any) -> None:
        self.reports.append(report)
        report.warnings()
        report.raise_if_failed()

    @contextmanager
    def _passage(self) -> Iterator[Passage]:
        run = f"journey {next(_runs)}"
        with self._crew() as (crew, belt):
            opened = partial(self.schema.warehouse, run=run) if self.with_warehouse else None
            yield Passage(self.pond.lake, self.now, self.rules, crew, belt, opened, run)

    @contextmanager
    def _crew(self) -> Iterator[tuple[Threads, Belt]]:
        scratch = self.folder.parent / f"scratch-{next(_runs)}"
        scratch.mkdir()
        with ThreadPoolExecutor(4) as pool:
            host = self.amplitude.url.removeprefix("http://")
            crew = Threads(
                pool,
                self._client,
                self.pond.lake,
                scratch,
                lambda: self.now,
                host,
                self.folder,
                self.compression,
            )
            yield crew, Belt(scratch, lambda: None, 2)
        assert list(scratch.iterdir()) == []

    def _client(self) -> ExportClient:
        api_key, secret_key = self.amplitude.auth
        return ExportClient(
            api_key=api_key, secret_key=secret_key, base_url=self.amplitude.url, sleep=lambda _: None
        )


def _row(event: dict[str, Any], hour: str) -> Row:
    canonical = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return event["uuid"], hour, hashlib.sha256(canonical.encode()).hexdigest()
