"""Where a run is killed: each step has a place at which an emulator holds the run's request."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from core.lake.layout import EVENTS, MANIFESTS, Status
from emulators import snowflake
from emulators.amplitude.faults import Fault as ExportFault
from emulators.gate import Gate
from tests.campaigns.crash_runs import Run
from tests.rehearsal import Rehearsal

_LOOK_SECONDS = 0.002

#: A manifest that commits an hour, not a mark that somebody puts beside it.
_COMMITS = f"{MANIFESTS}.*Z-({Status.DATA}|{Status.EMPTY}|{Status.RESTORED})-"


@dataclass
class Trap:
    """A place where a run will be held, or only noticed.

    Attributes:
        is_sprung: Whether the run is there.
        let_go: Whatever was held goes on from here, or is dropped.
    """

    is_sprung: Callable[[], bool]
    let_go: Callable[[bool], None] = field(default=lambda _: None)

    def wait(self, runs: Sequence[Run], seconds: float) -> bool:
        """Whether a run has come to the place, before all of them ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.is_sprung():
                return True
            if all(run.ended.is_set() for run in runs):
                return False
            time.sleep(_LOOK_SECONDS)
        return False


@dataclass(frozen=True)
class Step:
    """One line of the table of crashes.

    Attributes:
        name: As the summary has it.
        lay: Makes the trap, before the run begins.
    """

    name: str
    lay: Callable[[Rehearsal, Path, Random], Trap]


def _at_gate(gate: Gate) -> Trap:
    return Trap(lambda: gate.reached(0), lambda on: gate.let_go(on=on))


def _archive_on_its_way(stage: Rehearsal, _: Path, chance: Random) -> Trap:
    before = len(stage.amplitude.requests)
    stage.amplitude.faults.add(ExportFault("stall", seconds=5, fraction=chance.random()))
    return Trap(lambda: any(request.fault == "stall" for request in stage.amplitude.requests[before:]))


def _gunzipped(_: Rehearsal, scratch: Path, __: Random) -> Trap:
    before = set(scratch.glob("amplitude-run-*"))  # of runs that were killed

    def is_there() -> bool:
        folders = set(scratch.glob("amplitude-run-*")) - before
        return any(path for folder in folders for path in folder.glob("*T*/*"))

    return Trap(is_there)


def _between_parts(stage: Rehearsal, _: Path, chance: Random) -> Trap:
    return _at_gate(stage.s3.hold(key=EVENTS, skip=chance.randint(0, 2), answer=chance.random() < 0.5))


def _before_manifest(stage: Rehearsal, _: Path, __: Random) -> Trap:
    return _at_gate(stage.s3.hold(key=_COMMITS))


def _after_manifest(stage: Rehearsal, _: Path, __: Random) -> Trap:
    return _at_gate(stage.s3.hold(key=_COMMITS, answer=True))


def _statement(pattern: str, *, answer: bool) -> Callable[[Rehearsal, Path, Random], Trap]:
    def lay(stage: Rehearsal, _: Path, __: Random) -> Trap:
        assert stage.snowflake is not None
        fault = snowflake.Fault(pattern, "hold_answer" if answer else "hold")
        stage.snowflake.faults.add(fault)
        return _at_gate(fault.gate)

    return lay


#: In the order in which a run comes to them.
STEPS = (
    Step("archive on its way", _archive_on_its_way),
    Step("hour gunzipped", _gunzipped),
    Step("between parts", _between_parts),
    Step("before the manifest", _before_manifest),
    Step("after the manifest", _after_manifest),
    Step("lock taken", _statement(r"(?m)^UPDATE load_lock", answer=True)),
    Step("rows deleted", _statement(r"(?m)^DELETE FROM events_raw", answer=True)),
    Step("rows copied", _statement(r"(?m)^COPY INTO events_raw", answer=True)),
    Step("ledger written", _statement(r"(?m)^MERGE INTO load_ledger", answer=True)),
    Step("COMMIT not carried out", _statement(r"(?m)^COMMIT", answer=False)),
    Step("COMMIT carried out, answer lost", _statement(r"(?m)^COMMIT", answer=True)),
    Step("before reconciliation", _statement(r"'ledger' AS kind", answer=False)),
)


def clear(stage: Rehearsal) -> None:
    """Take away the traps that were not sprung."""
    stage.amplitude.faults.clear()
    stage.s3.heal()
    assert stage.snowflake is not None
    stage.snowflake.faults.clear()
