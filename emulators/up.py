"""``make up``: the whole stack on this machine, kept running in the background.

Emulators, a Prefect server with its user interface, blocks, deployments and a worker. Everything is
under ``.stack/`` in the project's folder, and is there again after `make down` and another `make up`.
Safe to repeat: what runs already is left alone, and what has died is started again.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from core.hours import ExportHour
from emulators.children import StackError
from emulators.down import end_everything
from emulators.prefect_server import private_environment
from emulators.processes import undisturbed
from emulators.record import FAILED, HOME, READY, ROOT, Record, alone

_NEXT = """
  Prefect's user interface      {ui}
  In a terminal, in this folder:
    . .venv/bin/activate
    export PREFECT_API_URL={ui}/api
    prefect deployment run amplitude-ingest/hourly --watch
    prefect deployment run amplitude-gap-fill/backfill --param start={start} --param end={end} --watch
    python -m emulators.query                     rows, hours and ledger of the emulated Snowflake
    python -m emulators.query "SELECT * FROM events LIMIT 5"
    make down                                     stops it all; make up goes on from there
"""


def main(home: Path = HOME, keeper: Sequence[str] = ("-m", "emulators.keeper")) -> int:
    """Start what does not run, and say where it is; 0, 1 if it could not be started, 130 if interrupted.

    Args:
        home: Where everything is kept.
        keeper: How Python starts the process that stays; the home comes after it.
    """
    try:
        return _go_up(home, keeper)
    except (StackError, OSError) as error:
        sys.stderr.write(f"It could not be started. {error}\n")
        return 1
    except KeyboardInterrupt:
        _say("\nInterrupted.")
        return 130


def _go_up(home: Path, keeper: Sequence[str]) -> int:
    began = time.monotonic()
    with alone(home):
        record = Record.read(home)
        if record is not None and record.complete:
            _say(f"It is up already.\n{_where(record)}")
            return 0
        if record is not None:
            _say(_what_happened(record))
            end_everything(record)
        _say("Starting emulators, Prefect server, worker …")
        code = _start(home, keeper)
        record = Record.read(home)
    if code == 0 and record is not None:
        _say(f"Up after {time.monotonic() - began:.0f} s.\n{_where(record)}")
    return code


def _start(home: Path, keeper: Sequence[str]) -> int:
    """Start the keeper, and repeat what it says until it is ready."""
    # Prefect reads .env and prefect.toml where a process is, and nothing of them must lead the stack to
    # another server. So all of it is in a folder of its own, and finds this project's modules from there.
    work = home / "work"
    work.mkdir(mode=0o700, exist_ok=True)
    process: subprocess.Popen[str] | None = None
    try:
        with (home / "keeper.log").open("wb") as complaints, undisturbed([signal.SIGINT]):
            process = subprocess.Popen(
                [sys.executable, *keeper, str(home)],
                cwd=work,
                env=private_environment(home) | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,  # the terminal may be closed
            )
        return _repeat(process, home)
    except KeyboardInterrupt:
        if process is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
            process.terminate()
            process.wait()
        _say("\nInterrupted; everything is stopped.")
        return 130


def _repeat(process: subprocess.Popen[str], home: Path) -> int:
    with process.stdout as said:  # type: ignore[union-attr]
        for line in said:
            if line.strip() == READY:
                return 0
            if line.startswith(FAILED):
                sys.stderr.write(f"It could not be started. {line.removeprefix(FAILED)}{said.read()}")
                break
            _say(f"  {line.rstrip()}")
        else:
            sys.stderr.write(f"It could not be started: see {home / 'keeper.log'}.\n")
    process.wait()
    return 1


def _what_happened(record: Record) -> str:
    if record.failure:
        return f"It had ended. {record.failure}"
    return f"It was not whole: {', '.join(record.lost) or 'its start was interrupted'}. It is started again."


def _where(record: Record) -> str:
    last = ExportHour.newest_complete(datetime.now(UTC))
    return _NEXT.format(ui=record.ui, start=last - 215, end=last - 168)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
