"""Kill real flow processes, over and over, and see whether anything was lost or loaded twice.

    python -m tests.campaigns.crash --kills 500 --seed 1

Every run is a process of its own against a real Prefect server and emulators that keep what they were
given. It is killed with SIGKILL: in turn at each step, where an emulator holds its request at that very
moment, and at random moments; sometimes two run at once, and one or both are killed. Then one more run must
end green, and lake and table must hold each generated event exactly once. Only kills between planning and
reconciliation count.

What was done is noted in a journal, so a campaign that was interrupted goes on where it was, and a further
call with more kills continues it. It ends with 1 at the first round in which anything was lost, duplicated,
or red; that round can be played again alone with ``--only``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from emulators.prefect_server import PrefectServer, private_environment
from tests.campaigns.crash_journal import Journal

if TYPE_CHECKING:
    from tests.campaigns.crash_ground import Ground

_PROJECT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Play rounds until there were enough kills; 1 if there are not, or if anything was lost or doubled."""
    options = _read(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):  # what was started is stopped
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    journal = Journal(None if options.only is not None else options.journal / f"seed-{options.seed}.jsonl")
    if journal.rounds:
        _say(f"Continued after {journal.rounds} rounds with {journal.kills.total()} kills.")
    if options.only is not None or (journal.is_good and journal.kills.total() < options.kills):
        with contextlib.suppress(KeyboardInterrupt):
            _campaign(options, journal)
    from tests.campaigns.crash_runs import COUNTED_PHASES
    from tests.campaigns.crash_steps import STEPS

    for line in journal.summary(options.seed, [step.name for step in STEPS], COUNTED_PHASES):
        _say(line)
    enough = options.only is not None or journal.kills.total() >= options.kills
    return 0 if journal.is_good and enough else 1


def _campaign(options: argparse.Namespace, journal: Journal) -> None:
    folder = Path(tempfile.mkdtemp(prefix="amplitude-crash-"))
    environment = private_environment(folder)
    environment |= {"PREFECT_LOGGING_TO_API_ENABLED": "false", "PYTHONPATH": str(_PROJECT)}
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(lambda: shutil.rmtree(folder, ignore_errors=True) if journal.is_good else None)
        api_url = options.prefect_api
        if api_url is None:
            server = cleanup.enter_context(PrefectServer(environment, folder / "prefect-server.log"))
            server.wait_until_ready()
            api_url = server.api_url
        environment["PREFECT_API_URL"] = api_url
        os.environ.clear()  # before Prefect is imported, which reads it then
        os.environ.update(environment)
        from tests.campaigns.crash_ground import grounds

        projects = cleanup.enter_context(grounds(environment, folder))
        if options.only is not None:
            _round(options.only, options, projects, journal)
        while options.only is None and journal.is_good and journal.kills.total() < options.kills:
            _round(journal.rounds, options, projects, journal)


def _round(number: int, options: argparse.Namespace, projects: list[Ground], journal: Journal) -> None:
    from tests.campaigns.crash_round import Round
    from tests.campaigns.crash_steps import STEPS

    began = time.monotonic()
    steps = [step for step in STEPS if options.step in {None, step.name}]
    if not steps:
        sys.exit(f"There is no step {options.step!r}; there are: {', '.join(step.name for step in STEPS)}.")
    tally = Round(projects[number % len(projects)], options.seed, number, options.ingest, steps).play()
    journal.note(number, tally, time.monotonic() - began)
    kills = ", ".join(f"{name} × {times}" if times > 1 else name for name, times in tally.kills.items())
    _say(f"round {number}: {tally.runs} runs, killed: {kills or 'none'} ({journal.kills.total()} so far)")
    if not tally.is_good:
        _say(f"NOT GOOD: {tally.verdict}")
        for reason in tally.red:
            _say(f"  {reason}")
        chosen = f" --step {options.step!r}" if options.step else ""
        again = f"--seed {options.seed} --only {number} --ingest {options.ingest}{chosen}"
        _say(f"Again: python -m tests.campaigns.crash {again}")


def _read(arguments: list[str] | None) -> argparse.Namespace:
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.crash", description=description)
    parser.add_argument("--kills", type=int, default=500, metavar="N", help="go on until there were so many")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="another one, other rounds")
    parser.add_argument("--only", type=int, metavar="ROUND", help="play this round alone, and note nothing")
    parser.add_argument("--step", metavar="NAME", help="instead of each step in turn, always this one")
    parser.add_argument(
        "--journal", type=Path, default=_PROJECT / ".crash", help="folder for what was done (default: .crash)"
    )
    parser.add_argument(
        "--ingest", default="flows.ingest", metavar="MODULE", help="whose runs bring new hours"
    )
    parser.add_argument("--prefect-api", metavar="URL", help="a Prefect server that is there already")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
