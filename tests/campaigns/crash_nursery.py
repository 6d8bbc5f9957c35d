"""Where runs come from: a process that has imported everything becomes a run by forking.

``python -m tests.campaigns.crash_nursery`` takes orders on standard input, one JSON object a line:

    {"module": "flows.ingest", "arguments": ["--start", …], "log": "/…/run-1.log"}

and says on standard output ``born PID`` for each, and ``dead PID STATUS`` when one has ended, as
:func:`os.waitstatus_to_exitcode` has it. Each run is ``python -m MODULE ARGUMENTS…`` in a process of its own,
only without the seconds that its imports take.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import sys
from typing import Any

_LOOK_SECONDS = 0.01


def main() -> None:
    """Serve until standard input ends."""
    _import_what_runs_need()
    _say("ready")
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], _LOOK_SECONDS)
        _bury()
        if not readable:
            continue
        line = sys.stdin.readline()
        if not line:
            return
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(order)
        _say(f"born {child}")


def _import_what_runs_need() -> None:
    """Everything but the flows themselves, which each run executes as its main module."""
    import boto3  # noqa: F401
    import prefect_snowflake  # noqa: F401
    import snowflake.connector  # noqa: F401

    import tasks.mark_hours
    import tasks.plan_gaps
    import tasks.plan_windows
    import tasks.review_lake  # noqa: F401


def _become(order: dict[str, Any]) -> None:
    """Be the run; ends with SystemExit, as a module that is run does."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    sys.argv = [order["module"], *order["arguments"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
    sys.exit(0)


def _bury() -> None:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not child:
            return
        _say(f"dead {child} {os.waitstatus_to_exitcode(status)}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
