"""``python -m emulators``: Amplitude, S3 and Snowflake on this machine, until Ctrl-C.

Prints the lines of an ``.env`` that points at them, or writes them with ``--env-file``. The file must
not be there yet, so that nobody's own is lost, and is removed at the end. Everything is in memory, and
forgotten at the end too.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

from emulators.stack import EmbeddedStack, StackError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last: its terminal was closed


def main(arguments: list[str] | None = None) -> int:
    """Serve until it is told to end; 0, 1 if an emulator was lost, 2 if it could not start."""
    options = _read(arguments)
    stack = EmbeddedStack(
        amplitude_port=options.amplitude_port,
        s3_port=options.s3_port,
        snowflake_port=options.snowflake_port,
        events_per_hour=options.events_per_hour,
    )
    for number in _SIGNALS:
        signal.signal(number, _stop)
    started = False
    with ExitStack() as ending:
        try:
            if options.env_file is not None:
                ending.enter_context(_Reserved(options.env_file))
            ending.enter_context(stack)
            ending.callback(_ignore_signals)  # a second Ctrl-C must not interrupt the end
            text = "".join(f"{name}={value}\n" for name, value in stack.environment.items())
            if options.env_file is None:
                sys.stdout.write(text)
            else:
                options.env_file.write_text(text, "utf-8")
                sys.stdout.write(f"{options.env_file} points at the stack.\n")
            sys.stdout.flush()
            started = True
            stack.wait()
        except KeyboardInterrupt:
            return 0
        except (StackError, OSError) as error:
            sys.stderr.write(f"emulators: {error}\n")
            return 1 if started else 2
    return 0


class _Reserved:
    """A file that was not there before, readable by its owner only, and gone afterwards."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            msg = f"{self._path} exists already: move it away, or name another file."
            raise StackError(msg) from None

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    _ignore_signals()
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _read(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m emulators", description="Amplitude, S3 and Snowflake on this machine, until Ctrl-C."
    )
    parser.add_argument(
        "--env-file", type=Path, metavar="FILE", help="write the lines there instead of printing"
    )
    parser.add_argument("--events-per-hour", type=int, metavar="N", help="on average over a day")
    for name in ("amplitude", "s3", "snowflake"):
        parser.add_argument(
            f"--{name}-port", type=int, default=0, metavar="PORT", help="default: any free one"
        )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
