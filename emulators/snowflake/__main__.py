"""python -m emulators.snowflake: the emulator as a process of its own."""

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from emulators.kept import StaleState
from emulators.snowflake.emulator import SnowflakeEmulator
from emulators.snowflake.leftovers import remove_leftovers


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulators.snowflake", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--s3-endpoint", help="where s3:// leads; without it, AWS")
    given = os.environ.get
    for name, variable, default, what in (
        ("access-key", "AWS_ACCESS_KEY", "emulator", "key that reads there"),
        ("secret-key", "AWS_SECRET_KEY", "emulator", "its secret"),
        ("region", "AWS_REGION", "us-east-1", "its region"),
    ):
        parser.add_argument(
            f"--s3-{name}", default=given(variable) or default, help=f"{what} (default: ${variable})"
        )
    parser.add_argument("--user", help="the one user that may log in; needs --public-key")
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="that user's public key, PEM")
    parser.add_argument("--role", action="append", default=[], help="a role that exists; may be repeated")
    parser.add_argument(
        "--sql", action="append", default=[], help="a statement to run before listening; may be repeated"
    )
    parser.add_argument(
        "--dead-session-seconds",
        type=float,
        default=300.0,
        help="silence after which a session that blocks another is ended (default: %(default)s)",
    )
    parser.add_argument("--folder", type=Path, help="keep the account there; without it, in memory only")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return parser.parse_args(arguments)


def _fail(message: str) -> int:
    sys.stderr.write(f"emulators.snowflake: {message}\n")
    return 2


def _wait_for_parent(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGINT, SIGTERM, SIGHUP, or the end of standard input if asked to.

    Returns:
        0 after a clean stop, 2 after a mistake in the arguments, told in one line.
    """
    given = _arguments(arguments)
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it cannot parse is told as a SQL error
    if bool(given.user) != bool(given.public_key):
        return _fail("--user and --public-key belong together")
    try:
        public_key = given.public_key.read_text() if given.public_key else None
    except OSError as error:
        return _fail(f"--public-key: {error.strerror}: {given.public_key}")
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    try:
        emulator = SnowflakeEmulator(
            given.s3_endpoint,
            given.s3_access_key,
            given.s3_secret_key,
            s3_region=given.s3_region,
            host=given.host,
            port=given.port,
            user=given.user,
            public_key=public_key,
            roles=tuple(given.role),
            dead_session_seconds=given.dead_session_seconds,
            folder=given.folder,
        )
    except StaleState as error:
        return _fail(str(error))
    try:
        for statement in given.sql:
            emulator.execute(statement)
        emulator.start()
    except OSError as error:
        return _fail(f"cannot listen on {given.host}:{given.port}: {error.strerror}")
    except Exception as error:  # noqa: BLE001
        return _fail(f"--sql: {' '.join(str(error).split())}")
    sys.stdout.write(f"listening on {emulator.url}\n")
    sys.stdout.flush()
    if given.exit_with_parent:
        threading.Thread(target=_wait_for_parent, args=[stop], daemon=True).start()
    while not stop.wait(0.5):
        pass
    emulator.stop()
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # At an ordinary exit DuckDB's binding now and then complains at length of what a thread still holds.
    remove_leftovers()
    os._exit(code)
