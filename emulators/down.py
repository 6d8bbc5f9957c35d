"""``make down``: stop everything that `make up` has started. What it keeps stays in ``.stack/``."""

from __future__ import annotations

import sys
from pathlib import Path

from emulators.children import StackError
from emulators.processes import Process, end
from emulators.record import HOME, Record, alone
from emulators.workshop import end_with_runs

#: The keeper needs this long at most: runs and worker, then the server, then the emulators.
_END_SECONDS = 60.0
_REST_SECONDS = 10.0


def main(home: Path = HOME) -> int:
    """Stop it, by process id; 0, also if nothing runs, 1 if it cannot be known what does.

    Args:
        home: Where it is kept.
    """
    if not home.exists():
        sys.stdout.write("Nothing is running.\n")
        return 0
    try:
        ended = _end(home)
    except (StackError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if ended:
        sys.stdout.write(f"Stopped. {home} keeps its state for the next make up.\n")
    else:
        sys.stdout.write("Nothing is running.\n")
    return 0


def _end(home: Path) -> list[Process]:
    with alone(home):
        try:
            record = Record.read(home)
        except StackError:
            Record.forget(home)
            raise
        ended = end_everything(record) if record is not None else []
        Record.forget(home)
    return ended


def end_everything(record: Record) -> list[Process]:
    """End every process that is written down, and the runs of the worker.

    The keeper ends the others itself. Where it cannot, because it was killed, they are ended here.

    Returns:
        Those that were alive.
    """
    worker = [record.processes["worker"]] if "worker" in record.processes else []
    others = [one for name, one in record.processes.items() if name != "worker"]
    return [
        *end([record.keeper], _END_SECONDS),
        *end_with_runs(worker, record.runs),
        *end(others, _REST_SECONDS),
    ]


if __name__ == "__main__":
    sys.exit(main())
