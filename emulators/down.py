"""``make down``: stop everything that `make up` has started. What it keeps stays in ``.stack/``."""

from __future__ import annotations

import sys
from pathlib import Path

from emulators.processes import Process, end
from emulators.record import HOME, Record, alone
from emulators.workshop import end_with_runs

#: The keeper needs this long at most: runs and worker, then the server, then the emulators.
_END_SECONDS = 60.0
_REST_SECONDS = 10.0


def main(home: Path = HOME) -> int:
    """Stop it, by process id; 0, also if nothing runs.

    Args:
        home: Where it is kept.
    """
    if not home.exists():
        sys.stdout.write("Nothing is running.\n")
        return 0
    with alone(home):
        record = Record.read(home)
        ended = end_everything(record) if record is not None else []
        Record.forget(home)
    if ended:
        sys.stdout.write(f"Stopped. {home} keeps its state for the next make up.\n")
    else:
        sys.stdout.write("Nothing is running.\n")
    return 0


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
        *end_with_runs(worker),
        *end(others, _REST_SECONDS),
    ]


if __name__ == "__main__":
    sys.exit(main())
