"""``make run``: the whole way from Amplitude to Snowflake, on this machine, without any account.

Starts the embedded stack and a Prefect server of its own, registers blocks, ingests the last day of
complete hours twice, and shows what has become of it. Each command that it runs is printed: with
three sets of credentials in ``.env`` the same commands run against the real services.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from core.hours import ExportHour
from emulators.prefect_server import PrefectServer, private_environment
from emulators.query import connect, show
from emulators.stack import EmbeddedStack, StackError

_PROJECT = Path(__file__).resolve().parent.parent

_SAMPLE = """
SELECT TO_CHAR(export_hour, 'YYYY-MM-DD"T"HH24') AS export_hour, event_type, user_id, country
FROM events
ORDER BY export_hour DESC, source_file, source_row
LIMIT 5
"""
_COUNTS = """
SELECT COUNT(*), COUNT(DISTINCT export_hour), (SELECT COUNT(*) FROM events_unique) FROM events_raw
"""
_LEDGER = "SELECT SUM(events), COUNT(*) FROM load_ledger WHERE export_hour IS NOT NULL"

_NEXT = """
[bold]Where to go next[/bold]
  make test                       everything that is promised, shown
  cp .env.example .env            your own Amplitude, AWS and Snowflake; README.md has the three steps
  make up                         this stack, kept running, with Prefect's user interface and a worker
"""


class DemoFailed(Exception):
    """A step did not end as it should; it has said why."""


def main() -> int:
    """Run the demonstration; 0 if lake and warehouse reconcile."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__.splitlines()[0])
    parser.add_argument("--events-per-hour", type=int, default=600, help="events an hour (default: 600)")
    options = parser.parse_args()
    console = Console()
    for number in (signal.SIGTERM, signal.SIGHUP):  # the latter: the terminal was closed
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    try:
        with contextlib.ExitStack() as cleanup:
            home = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="amplitude-demo-")))
            # Prefect reads .env and prefect.toml where a process is: the project has none for the demo.
            (work := home / "work").mkdir()
            environment = private_environment(home) | {
                "PREFECT_LOGGING_LEVEL": "WARNING",
                "PYTHONPATH": str(_PROJECT),
            }
            began = time.perf_counter()
            console.print("Starting Amplitude, S3, Snowflake (emulators) and a Prefect server …")
            # The server takes longest: it starts first, and is waited for last.
            server = cleanup.enter_context(PrefectServer(environment, home / "prefect-server.log"))
            stack = cleanup.enter_context(EmbeddedStack(events_per_hour=options.events_per_hour))
            server.wait_until_ready()
            console.print(f"… all running after {time.perf_counter() - began:.0f} s.\n")
            environment |= {**stack.environment, "PREFECT_API_URL": server.api_url}
            _demonstrate(console, environment, work)
    except KeyboardInterrupt:
        console.print("\nInterrupted; everything is stopped.")
        return 130
    except (DemoFailed, StackError) as error:
        console.print(Text(str(error), style="red"))
        return 1
    return 0


def _demonstrate(console: Console, environment: Mapping[str, str], work: Path) -> None:
    def run(module: str, *arguments: str) -> None:
        console.print(f"[bold]$ python -m {' '.join((module, *arguments))}[/bold]")
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=work, env=dict(environment), check=False)
        console.print()
        if done.returncode:
            msg = f"python -m {module} ended with {done.returncode}."
            raise DemoFailed(msg)

    last = ExportHour.newest_complete(datetime.now(UTC))
    first = last - 23
    run("blocks.register")
    day = ("--start", str(first), "--end", str(last))
    run("flows.ingest", *day)
    console.print("And again: what is there is neither asked for nor loaded twice.")
    run("flows.ingest", *day)
    with contextlib.closing(connect(environment)) as connection, connection.cursor() as cursor:
        console.print("[bold]A few rows of the view events[/bold]")
        cursor.execute(_SAMPLE)
        show(cursor, console)
        rows, hours, unique = (int(count) for count in cursor.execute(_COUNTS).fetchone())
        events, loaded_hours = (int(count) for count in cursor.execute(_LEDGER).fetchone())
    console.print(f"\n{rows:,} rows in events_raw, {unique:,} in events_unique.")
    console.print(_NEXT, soft_wrap=True)
    if not rows == unique == events or hours != loaded_hours:
        ledger = f"the ledger says {events:,} events of {loaded_hours}"
        msg = f"The table holds {rows:,} rows of {hours} hours, {ledger}."
        raise DemoFailed(msg)
    verdict = (
        f"Lake and warehouse reconcile: {hours} hours, {events:,} events, each in the table exactly once."
    )
    console.print(verdict, style="bold green", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
