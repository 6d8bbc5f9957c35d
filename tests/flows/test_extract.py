"""Amplitude to a local folder: what appears there is what was generated, whole and verified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import ExportRefused, InvalidInput, RunFailed
from core.hours import ExportHour
from emulators.amplitude import EventSource, Fault, canonical
from flows.extract import extract
from tests.rehearsal import Rehearsal, hours_ago, rehearsal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def amplitude(prefect_server: None) -> Iterator[Rehearsal]:
    with rehearsal("extract", source=EventSource(events_per_hour=20), warehouse=False) as ready:
        yield ready


@pytest.fixture(autouse=True)
def _no_faults(amplitude: Rehearsal) -> None:
    amplitude.amplitude.faults.clear()
    amplitude.amplitude.requests.clear()


def run(folder: Path, *, last: int = 0) -> None:
    extract(to=str(folder), start=hours_ago(2), end=hours_ago(last), credentials="extract")


def uuids(folder: Path) -> list[str]:
    lines = (line for path in folder.glob("*.json") for line in path.read_bytes().split(b"\n") if line)
    events = [json.loads(line) for line in lines]
    assert all(canonical(event) for event in events)
    return sorted(event["uuid"] for event in events)


def truth(stage: Rehearsal) -> list[str]:
    return sorted(uuid for uuid, _, _ in stage.truth(hours_ago(2), hours_ago(0)))


def test_files_hold_every_event_and_nothing_else_is_touched(amplitude: Rehearsal, tmp_path: Path) -> None:
    asked_of_s3 = len(amplitude.s3.requests)
    run(tmp_path / "json")
    assert uuids(tmp_path / "json") == truth(amplitude)
    assert len(list((tmp_path / "json").iterdir())) == 6
    assert len(amplitude.s3.requests) == asked_of_s3


def test_files_that_are_right_stay_and_a_damaged_one_is_replaced(
    amplitude: Rehearsal, tmp_path: Path
) -> None:
    run(tmp_path)
    right, damaged, cut = sorted(tmp_path.glob("*.json"))[:3]
    before = right.stat().st_mtime_ns
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-2] + b" \n")  # as long as before
    cut.write_bytes(cut.read_bytes()[:100])

    run(tmp_path)

    assert right.stat().st_mtime_ns == before
    assert damaged.read_bytes() == whole
    assert uuids(tmp_path) == truth(amplitude)


def test_a_bad_hour_leaves_no_file_and_the_others_appear(amplitude: Rehearsal, tmp_path: Path) -> None:
    bad = ExportHour.parse(hours_ago(1))
    amplitude.amplitude.faults.add(Fault("truncated-gzip", times=None, hours={bad}))
    with pytest.raises(RunFailed, match=str(bad)):
        run(tmp_path)
    left = [path.name for path in tmp_path.iterdir()]
    assert not [name for name in left if name.endswith(".unfinished")]
    whole = [uuid for uuid, hour, _ in amplitude.truth(hours_ago(2), hours_ago(0)) if hour != str(bad)]
    assert set(whole) <= set(uuids(tmp_path))


def test_a_file_in_the_folder_s_place_is_refused_before_anything_is_asked_for(
    amplitude: Rehearsal, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InvalidInput, match="file is a file; --to takes a folder"):
        run(tmp_path / "file")
    assert amplitude.amplitude.requests == []
    assert (tmp_path / "file").read_text() == "mine"


def test_refused_keys_end_it_at_once(amplitude: Rehearsal, tmp_path: Path) -> None:
    amplitude.amplitude.faults.add(Fault("status", status=403, times=None))
    with pytest.raises(ExportRefused, match="403"):
        run(tmp_path)
    assert len(amplitude.amplitude.requests) == 1
    assert list(tmp_path.iterdir()) == []
