"""One input of the campaign: drawn from its number, read, and judged."""

from __future__ import annotations

import pickle
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from core.errors import BrokenAnswer, DamagedMember, PipelineError, StrangeArchive
from tests.campaigns import fuzz_manifests, fuzz_oracle
from tests.campaigns.fuzz_archives import OUTSIDE, ArchiveInput, draw_archive
from tests.campaigns.fuzz_manifests import REFUSALS, LakeInput, draw_lake_input, read_lake_input
from tests.campaigns.fuzz_reading import Reader, Reading, Stage, read_archive
from tests.campaigns.fuzz_seeds import WINDOW

#: One input in so many is something that lies in a lake.
_LAKE_EVERY = 8

#: The longest that an error may be: it goes into logs and reports.
LONGEST_ERROR = 600

_ARCHIVE = "archive.zip"
_HOURS = "hours"


class Hung(BaseException):
    """An input took too long. Not an Exception: nobody but the judge may catch it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that an input did not pass.

    Attributes:
        check: ``foreign error``, ``hang``, ``memory``, ``wrong class``, ``text``, ``stray file``,
            ``unsound``.
        kind: Equal for failures that most likely have one cause.
    """

    number: int
    check: str
    kind: str
    detail: str


@dataclass(slots=True)
class Verdict:
    """What became of one input.

    Attributes:
        stage: How far it came; None if it did not go through the archive reader.
        refused: The class of the first error of ours.
    """

    number: int
    family: str
    stage: Stage | None = None
    refused: str | None = None
    cpu_seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def fail(self, check: str, detail: str, kind: str = "") -> None:
        self.failures.append(Failure(self.number, check, f"{check}: {kind or detail}", detail))


@dataclass(frozen=True, slots=True)
class Judge:
    """Draws inputs and judges what the reader makes of them.

    Guarantees: an input depends on the seed and its number alone.

    Args:
        scratch: Where archives are written and read; nothing else may lie there.
        deadline_seconds: Of CPU, so that a busy machine is no hang.
        read: The function under test.
    """

    seed: int
    scratch: Path
    deadline_seconds: float = 5.0
    read: Reader = read_archive

    def draw(self, number: int) -> ArchiveInput | LakeInput:
        """The input of this number."""
        chance = Random(f"{self.seed}:{number}")
        return draw_lake_input(chance) if number % _LAKE_EVERY == 0 else draw_archive(chance)

    def judge(self, number: int) -> Verdict:
        """Read one input and look at everything that is promised of it."""
        drawn = self.draw(number)
        verdict = Verdict(number, drawn.family)
        began = time.process_time()
        try:
            with _deadline(self.deadline_seconds):
                if isinstance(drawn, LakeInput):
                    _judge_lake_input(drawn, verdict)
                else:
                    self._judge_archive(drawn, verdict)
        except Hung as hung:
            verdict.fail("hang", f"{self.deadline_seconds} s of CPU were not enough", _place(hung))
        except MemoryError as error:
            verdict.fail("memory", "more memory was asked for than a worker may have", _place(error))
        except Exception as error:  # noqa: BLE001 - whatever is not ours is a failure
            verdict.fail("foreign error", "".join(traceback.format_exception(error)[-4:]), _place(error))
        verdict.cpu_seconds = time.process_time() - began
        return verdict

    def _judge_archive(self, drawn: ArchiveInput, verdict: Verdict) -> None:
        path, folder = self.scratch / _ARCHIVE, self.scratch / _HOURS
        path.write_bytes(drawn.data)
        folder.mkdir(exist_ok=True)
        verdict.stage = Stage.FILE
        try:
            reading = self.read(path, folder, WINDOW, drawn.limits, drawn.sink)
            verdict.stage = reading.stage
            _judge_refusals(reading, verdict)
            for doubt in fuzz_oracle.doubts_about(drawn, reading):
                verdict.fail("unsound", doubt, f"in {drawn.family}")
        finally:
            self._look_for_strays(drawn, folder, verdict)

    def _look_for_strays(self, drawn: ArchiveInput, folder: Path, verdict: Verdict) -> None:
        beside = {path.name for path in self.scratch.iterdir()} - {_ARCHIVE, _HOURS}
        above = {path.name for path in self.scratch.parent.iterdir()} - {self.scratch.name}
        outside = {str(OUTSIDE)} if Path(OUTSIDE).exists() else set()
        for name in beside | above | outside:
            verdict.fail("stray file", f"{name!a} was written outside of the hour's folder", "outside")
        if any(folder.iterdir()):
            for stray in fuzz_oracle.stray_files(folder, drawn.limits):
                verdict.fail("stray file", stray, "inside")
            shutil.rmtree(folder)


def _judge_refusals(reading: Reading, verdict: Verdict) -> None:
    for hour, error in reading.refused.items():
        verdict.refused = verdict.refused or type(error).__name__
        promised = (BrokenAnswer, StrangeArchive) if hour is None else (DamagedMember,)
        _judge_error(error, promised, verdict)


def _judge_lake_input(drawn: LakeInput, verdict: Verdict) -> None:
    try:
        read = read_lake_input(drawn)
    except PipelineError as error:
        verdict.refused = type(error).__name__
        _judge_error(error, (REFUSALS[drawn.kind],), verdict)
        return
    for doubt in fuzz_manifests.doubts_about(drawn, read):
        verdict.fail("unsound", doubt, f"in {drawn.family}")


def _judge_error(error: PipelineError, promised: tuple[type[PipelineError], ...], verdict: Verdict) -> None:
    """It is one of those that are promised, can be shown, and crosses process borders."""
    text = str(error)
    if type(error) not in promised:
        verdict.fail("wrong class", f"{type(error).__name__}: {text}", _place(error))
    if len(text) > LONGEST_ERROR:
        verdict.fail("text", f"{len(text):,} characters: {text[:200]}…", f"length, {_place(error)}")
    if not text.isprintable():
        verdict.fail("text", f"cannot be shown: {text!a}", f"not printable, {_place(error)}")
    again = pickle.loads(pickle.dumps(error))
    if (type(again), str(again)) != (type(error), text):
        verdict.fail("text", f"pickled, it is {again!r}", f"pickle, {_place(error)}")


def _place(error: BaseException) -> str:
    """An error's class, and where in the project's own code it came from."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if "/core/" in frame.filename]
    if not own:
        return type(error).__name__
    return f"{type(error).__name__} in {Path(own[-1].filename).name}:{own[-1].lineno} ({own[-1].name})"


def peak_memory_mib() -> float:
    """The most that this process has had in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _hung(_: int, frame: FrameType | None) -> None:
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "somewhere"
    raise Hung(where)


@contextmanager
def deadlines_kept() -> Iterator[None]:
    """Within this block an input that takes too long is stopped; only in the main thread."""
    before = signal.signal(signal.SIGPROF, _hung)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, before)


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
