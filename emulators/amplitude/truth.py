"""What must arrive, so that arrival can be checked event by event."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from core.hours import ExportHour


class Truth(NamedTuple):
    """One event that must arrive.

    Attributes:
        uuid: Its ``uuid``.
        export_hour: ``2025-12-23T19``.
        sha256: Hex digest of :func:`canonical`.
    """

    uuid: str
    export_hour: str
    sha256: str


def canonical(event: Mapping[str, Any]) -> bytes:
    """The one spelling of an event: sorted keys, no spaces, UTF-8."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def truth_of(hour: ExportHour, line: bytes) -> Truth:
    """The truth about one JSON line of an hour."""
    event = json.loads(line)
    return Truth(event["uuid"], str(hour), hashlib.sha256(canonical(event)).hexdigest())


def write_truth(path: Path, truths: Iterable[Truth]) -> int:
    """Write CSV: ``uuid,export_hour,sha256``, with these names on the first line.

    Args:
        path: The file; replaced if it is there.
        truths: Taken one at a time.

    Returns:
        How many events the file names.
    """
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Truth._fields)
        for count, truth in enumerate(truths, start=1):  # noqa: B007 - the last number is the count
            writer.writerow(truth)
    return count
