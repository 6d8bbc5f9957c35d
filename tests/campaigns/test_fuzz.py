"""The fuzz campaign in short, and whether it would notice."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from core.amplitude.archive import ArchiveLimits
from core.errors import StrangeArchive
from core.hours import ExportWindow
from core.unpacking import UnpackedHour
from tests.campaigns import fuzz
from tests.campaigns.fuzz_archives import ArchiveInput, Sink, draw_archive
from tests.campaigns.fuzz_bytes import mutated
from tests.campaigns.fuzz_count import Count
from tests.campaigns.fuzz_judge import Judge, Verdict, deadlines_kept
from tests.campaigns.fuzz_manifests import LakeInput
from tests.campaigns.fuzz_reading import Reading, Stage, read_archive
from tests.campaigns.fuzz_seeds import TIGHT, WINDOW, seeds


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "alone" / "scratch"
    folder.mkdir(parents=True)
    with deadlines_kept():
        yield folder


def _an_archive(judge: Judge, *, accepted: bool = True) -> int:
    """The number of an input that the archive reader takes whole, as it should."""
    sound = Judge(judge.seed, judge.scratch)
    for number in range(1, 400):
        verdict = sound.judge(number)
        if verdict.stage is Stage.COUNT and (verdict.refused is None) is accepted:
            return number
    raise AssertionError


def test_an_input_follows_from_seed_and_number(scratch: Path) -> None:
    one, again, other = Judge(1, scratch), Judge(1, scratch), Judge(2, scratch)
    drawn = [one.draw(number) for number in range(64)]
    assert drawn == [again.draw(number) for number in range(64)]
    assert drawn != [other.draw(number) for number in range(64)]
    assert {type(each) for each in drawn} == {ArchiveInput, LakeInput}


def test_an_input_does_not_depend_on_what_was_drawn_before_it(scratch: Path) -> None:
    numbers = range(0, 16_000, 8)  # what lies in a lake
    judge = Judge(1, scratch)
    forwards = {number: judge.draw(number) for number in numbers}
    assert forwards == {number: judge.draw(number) for number in reversed(numbers)}


def test_every_seed_is_sound_and_tiny(scratch: Path) -> None:
    for number, seed in enumerate(seeds()):
        path, folder = scratch / "archive.zip", scratch / str(number)
        path.write_bytes(seed.data)
        folder.mkdir()
        assert not read_archive(path, folder, WINDOW, TIGHT, "none").refused
        assert len(seed.data) < 4_000
        shutil.rmtree(folder)


def test_mutations_change_what_they_are_given() -> None:
    chance = Random(1)
    data, other = bytes(range(200)), bytes(100)
    assert sum(mutated(chance, data, other) != data for _ in range(200)) > 190
    drawn = [draw_archive(chance) for _ in range(300)]
    assert len({each.data for each in drawn}) > 250
    assert len({each.family for each in drawn}) >= 8


@pytest.mark.parametrize(("archives", "good"), [(10, True), (11, False)])
def test_a_fifth_of_the_inputs_must_come_as_far_as_gzip(archives: int, good: bool) -> None:
    count = Count()
    for number in range(archives):
        count.add(Verdict(number, "blind", Stage.GZIP if number < 2 else Stage.MEMBER))
    assert count.is_good is good
    told = count.summary(2.0)[-1]
    assert told.startswith(f"inputs={archives} directory={archives} member={archives} gzip=2 count=0")


def _foreign(*_: Any) -> Reading:
    raise KeyError


def _hanging(*_: Any) -> Reading:
    while True:
        pass


def _greedy(*_: Any) -> Reading:
    raise MemoryError


def _stray(path: Path, *rest: Any) -> Reading:
    (path.parent.parent / "climbed.json").write_bytes(b"{}")
    return read_archive(path, *rest)


def _littering(path: Path, folder: Path, *rest: Any) -> Reading:
    reading = read_archive(path, folder, *rest)
    (folder / "2025-12-23T09").mkdir(exist_ok=True)
    (folder / "2025-12-23T09" / "not an hour's.txt").write_bytes(b"")
    return reading


def _talkative(*_: Any) -> Reading:
    return Reading(refused={None: StrangeArchive("x" * 10_000 + "\n")})


def _forgetful(path: Path, folder: Path, window: ExportWindow, limits: ArchiveLimits, sink: Sink) -> Reading:
    """Reads aright, and counts one event less."""
    reading = read_archive(path, folder, window, limits, "none")
    for hour, unpacked in reading.hours.items():
        assert isinstance(unpacked, UnpackedHour)
        first, *others = unpacked.parts
        parts = (replace(first, events=first.events + 1), *others)
        reading.hours[hour] = replace(unpacked, parts=parts)
    return reading


@pytest.mark.parametrize(
    ("reader", "check"),
    [
        (_foreign, "foreign error"),
        (_hanging, "hang"),
        (_greedy, "memory"),
        (_stray, "stray file"),
        (_littering, "stray file"),
        (_talkative, "text"),
        (_forgetful, "unsound"),
    ],
)
def test_a_reader_that_is_wrong_is_found_out(scratch: Path, reader: Any, check: str) -> None:
    judge = Judge(1, scratch, deadline_seconds=0.2, read=reader)
    verdict = judge.judge(_an_archive(judge))
    assert check in {failure.check for failure in verdict.failures}


def _asleep(*_: Any) -> Reading:
    time.sleep(60)
    raise AssertionError


def test_a_worker_that_hangs_without_using_the_cpu_is_ended(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("spawn").Process(
        target=fuzz.watched, args=(1, 1, 2, tmp_path), kwargs={"read": _asleep, "seconds": 1.0}
    )
    worker.start()
    worker.join(30)
    assert worker.exitcode == 1


def test_a_failed_campaign_says_how_to_read_that_input_again(capsys: pytest.CaptureFixture[str]) -> None:
    count = fuzz.play(1, 1, 3, read=_foreign)
    assert count.failed.total() == 2
    assert not count.is_good
    assert fuzz.main(["--seed", "1", "--only", "1"]) == 0
    assert "kept in" in capsys.readouterr().out


@pytest.mark.slow
def test_nothing_but_our_errors_comes_of_spoiled_archives_and_manifests(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = fuzz.main(["--inputs", "4000", "--seed", "7", "--workers", "1"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert "failures=0" in said.splitlines()[-1]
