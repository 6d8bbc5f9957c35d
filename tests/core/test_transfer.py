"""What came from Amplitude and where it went, in figures."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from core.amplitude.export import ExportedWindow
from core.hours import ExportHour, ExportWindow
from core.timing import Span, Timed
from core.transfer import Step, Transfer, busy, is_miscount
from core.unpacking import ExtractedHour, UnpackedHour
from tests.core.lake.examples import APP, HOUR, manifest, part
from tests.core.lakes import write_parts

T = TypeVar("T")


def timed(receipt: T, began: float = 0, ended: float = 1) -> Timed[T]:
    return Timed(receipt, Span(began, ended))


def downloaded(size_bytes: int, requests: int) -> ExportedWindow:
    return ExportedWindow(ExportWindow(HOUR - 5, HOUR), (), {}, (), size_bytes, requests)


def unpacked(folder: Path, *counts: int, hour: ExportHour = HOUR) -> UnpackedHour:
    """An hour with parts of this many events, three bytes each."""
    parts = write_parts(folder, hour, [b"{}\n" * count for count in counts])
    return UnpackedHour(hour, ExportWindow(hour, hour), hour.complete_at, APP, folder, tuple(parts))


def extracted(*names: str, kept: int = 0) -> ExtractedHour:
    return ExtractedHour(HOUR, tuple(map(Path, names)), tuple([Path("k")] * kept), 5, 70)


# Into the lake


def test_steps_say_how_much_was_moved_and_how_long_it_took(tmp_path: Path) -> None:
    first, second = (
        manifest(part(events=3), part(number=1, events=4)),
        manifest(part(events=5), hour=HOUR - 1),
    )
    made = Transfer(
        downloads=[timed(downloaded(100, 1), 0, 10), timed(downloaded(50, 2), 5, 12)],
        unpacked=[timed(unpacked(tmp_path, 3, 4), 10, 11), timed(unpacked(tmp_path, 5), 20, 22)],
        committed=[timed(first, 11, 14), timed(second, 12, 13)],
    )
    assert made.steps_to_lake() == [
        Step("download", "3 requests", 150, 12),
        Step("gunzip", "12 events", 36, 3),
        Step("upload", "3 parts, 2 manifests", 12 * 1800, 3),
    ]
    assert (made.source_events, made.lake_events) == (12, 12)
    assert made.manifests == [first, second]


def test_a_transfer_that_moved_nothing_has_steps_without_time() -> None:
    made = Transfer()
    assert [step.name for step in made.steps_to_lake()] == ["download", "gunzip", "upload"]
    assert all((step.seconds, step.size_bytes) == (0, 0) for step in made.steps_to_lake())
    assert (made.manifests, made.source_events, made.lake_events, made.miscounted()) == ([], 0, 0, {})


def test_a_manifest_that_states_other_events_than_were_gunzipped_is_named(tmp_path: Path) -> None:
    made = Transfer(unpacked=[timed(unpacked(tmp_path, 3))], committed=[timed(manifest(part(events=2)))])
    assert made.miscounted() == {HOUR: "had 3 events, its manifest 2"}
    assert all(is_miscount(reason) for reason in made.miscounted().values())
    assert not is_miscount("is not sound gzip: had 3 events, its manifest 2")
    made.committed = [timed(manifest(part(events=3)))]
    assert made.miscounted() == {}


def test_an_hour_that_did_not_get_as_far_as_its_manifest_is_not_miscounted(tmp_path: Path) -> None:
    failed = unpacked(tmp_path, 3, hour=HOUR - 1)
    made = Transfer(unpacked=[timed(failed)], committed=[timed(manifest(part(events=2)))])
    assert made.miscounted() == {}


def test_two_transfers_share_nothing() -> None:
    Transfer().failures[HOUR] = "is damaged"
    assert Transfer().failures == {}


# Into a folder


def test_an_extract_says_how_much_it_wrote_and_what_it_left_alone() -> None:
    made = Transfer(
        downloads=[timed(downloaded(100, 1), 0, 3)],
        extracted=[timed(extracted("a", "b"), 3, 5), timed(extracted("c", kept=2), 4, 6)],
    )
    assert made.steps_to_folder() == [
        Step("download", "1 request", 100, 3),
        Step("extract", "3 files written, 2 kept", 140, 3),
    ]


# Time


def test_steps_that_overlap_count_their_time_once() -> None:
    assert busy([timed("a", 0, 10), timed("b", 5, 12), timed("c", 20, 21)]) == 13
    assert busy([]) == 0
