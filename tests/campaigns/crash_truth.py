"""What arrived against what was generated: each event as (uuid, export hour, hash of the canonical event)."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from core.hours import ExportWindow
from core.lake.verdict import verdicts_of
from emulators.amplitude.truth import Truth, canonical, truth_of
from tests.rehearsal import BUCKET, Rehearsal

_TABLE = """
SELECT event, TO_CHAR(export_hour, 'YYYY-MM-DD"T"HH24') FROM events_raw
WHERE TO_CHAR(export_hour, 'YYYY-MM-DD"T"HH24') BETWEEN '{first}' AND '{last}'
"""


@dataclass(frozen=True)
class Verdict:
    """How lake and table differ from the truth; all zero if they do not.

    Attributes:
        lost: Events that are not there.
        duplicated: Events that are there more often than once, each further time.
        strangers: Events that nobody generated, or that are in another hour than their own.
    """

    lost: int = 0
    duplicated: int = 0
    strangers: int = 0

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(
            self.lost + other.lost, self.duplicated + other.duplicated, self.strangers + other.strangers
        )

    def __bool__(self) -> bool:
        return self != Verdict()


def judge(truth: Iterable[Truth], found: Iterable[Truth]) -> Verdict:
    """Compare, event by event."""
    due, there = Counter(truth), Counter(found)
    surplus = there - due
    duplicated = sum(times for event, times in surplus.items() if event in due)
    return Verdict((due - there).total(), duplicated, surplus.total() - duplicated)


def compare(stage: Rehearsal, hours: ExportWindow) -> Verdict:
    """Lake and table of some hours against what Amplitude holds of them now."""
    truth = [event for hour in hours for event in stage.amplitude.source.truth(hour)]
    return judge(truth, lake_events(stage, hours)) + judge(truth, table_events(stage, hours))


def lake_events(stage: Rehearsal, hours: ExportWindow) -> list[Truth]:
    """What the manifests that count say the lake holds, read from its objects."""
    lake, client, found = stage.lake, stage.s3.client(), []
    prefix = lake.url.removeprefix(f"s3://{BUCKET}/")
    for hour, verdict in verdicts_of(lake.manifest_names(hours.first, hours.last)).items():
        parts = lake.read_manifest(verdict.content).parts if verdict.content else ()
        for part in parts:
            try:
                body = client.get_object(Bucket=BUCKET, Key=prefix + part.key)["Body"].read()
            except client.exceptions.NoSuchKey:
                continue  # its events are lost
            text = gzip.decompress(body) if part.key.endswith(".gz") else body
            found += [truth_of(hour, line) for line in text.splitlines() if line.strip()]
    return found


def table_events(stage: Rehearsal, hours: ExportWindow) -> list[Truth]:
    """What the table holds."""
    found = []
    for text, hour in stage.query(_TABLE.format(first=hours.first, last=hours.last)):
        event = json.loads(text)
        found.append(Truth(event["uuid"], hour, hashlib.sha256(canonical(event)).hexdigest()))
    return found
