"""``python -m emulators.amplitude``: the Export API on loopback, or the truth about its events."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import NoReturn, get_args

from core.errors import InvalidInput
from core.hours import ExportHour, hours_between
from emulators.amplitude.archive import Layout
from emulators.amplitude.changes import Change
from emulators.amplitude.faults import Fault
from emulators.amplitude.server import (
    DEMO_API_KEY,
    DEMO_SECRET_KEY,
    SIZE_LIMIT_BYTES,
    AmplitudeEmulator,
    Transfer,
    utc_now,
)
from emulators.amplitude.source import EventSource
from emulators.amplitude.specs import read_instant

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MAX_PORT = 65_535


class _OneLineParser(argparse.ArgumentParser):
    """Complaints are one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop, or write the truth; 2 for what the user can put right."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        clock = _clock(options.now)
        source = EventSource(
            seed=options.seed,
            app_id=options.app_id,
            first_hour=ExportHour.parse(options.first_hour),
            last_hour=ExportHour.parse(options.last_hour) if options.last_hour else None,
            events_per_hour=options.events_per_hour,
            constant=options.constant,
            parts_per_hour=options.parts,
            quiet_hours={ExportHour.parse(hour) for hour in options.quiet_hour},
            changes=[Change.parse(change) for change in options.change],
            shuffle=options.shuffle,
            quirks=options.quirks,
        )
        emulator = AmplitudeEmulator(
            source,
            api_key=options.api_key,
            secret_key=options.secret_key,
            clock=(lambda: clock) if clock else None,
            faults=[Fault.parse(fault) for fault in options.fault],
            layout=Layout.parse(options.layout),
            transfer=options.transfer,
            size_limit_bytes=options.size_limit_bytes,
            timeout_hours=options.timeout_hours,
            port=options.port,
        )
    except InvalidInput as error:
        parser.error(str(error))
    try:
        if options.write_truth is not None:
            return _write_truth(options.write_truth, source, clock)
        return _serve(emulator, exit_with_parent=options.exit_with_parent)
    except OSError as error:
        where = options.write_truth or f"127.0.0.1:{options.port}"
        parser.error(f"{where}: {error.strerror or error}.")


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(prog="python -m emulators.amplitude", description=__doc__)
    add = parser.add_argument
    add("--port", type=_port, default=0, help="0, the default, for any free one")
    add("--seed", type=int, default=1)
    add("--app-id", type=int, default=100011471)
    add("--first-hour", default="2025-01-01T00", metavar="HOUR", help="before it there is no data")
    add("--last-hour", metavar="HOUR", help="the last one with data, included; open by default")
    add("--events-per-hour", type=int, default=1000, metavar="N", help="on average over a day")
    add("--constant", action="store_true", help="the same number of events in every hour")
    add("--parts", type=int, default=2, metavar="N", help="members of an hour")
    add(
        "--quiet-hour",
        action="append",
        default=[],
        metavar="HOUR",
        help="an hour without data; may be repeated",
    )
    add(
        "--change",
        action="append",
        default=[],
        metavar="SPEC",
        help="add=20,hours=HOUR[..HOUR],after=ISO,from_request=2",
    )
    add("--shuffle", action="store_true", help="another order of events and members at every answer")
    add(
        "--quirks",
        action="store_true",
        help="blank lines, no newline at the end, empty and joined gzip files",
    )
    add(
        "--layout",
        default="deflated",
        help="stored, deflated or mixed, then flat, descriptors, zip64, by commas",
    )
    add("--transfer", choices=get_args(Transfer), default="length", help="how the length of the body is told")
    add("--now", metavar="ISO", help="the time stands still at this instant")
    add(
        "--api-key",
        default=os.environ.get("AMP_API_KEY") or DEMO_API_KEY,
        help="default: AMP_API_KEY, or a demo key",
    )
    add(
        "--secret-key",
        default=os.environ.get("AMP_SECRET_KEY") or DEMO_SECRET_KEY,
        help="default: AMP_SECRET_KEY, or a demo key",
    )
    add("--size-limit-bytes", type=int, default=SIZE_LIMIT_BYTES, metavar="N", help="more than this is a 400")
    add("--timeout-hours", type=int, metavar="N", help="more hours than this are a 504")
    add(
        "--fault",
        action="append",
        default=[],
        metavar="SPEC",
        help="503:times=2,hours=HOUR[..HOUR]; cut:fraction=0.3; may be repeated",
    )
    add(
        "--write-truth",
        type=Path,
        metavar="FILE",
        help="write uuid, hour and fingerprint of the events from --first-hour to --last-hour, and end",
    )
    add("--exit-with-parent", action="store_true", help="end when standard input does")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > _MAX_PORT:
        msg = f"{text!r} is not a port"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _clock(text: str | None) -> datetime | None:
    return read_instant("--now", text) if text else None


def _write_truth(path: Path, source: EventSource, now: datetime | None) -> int:
    now = now or utc_now()
    last = source.last_hour or ExportHour.newest_complete(now)
    count = source.write_truth(path, hours_between(source.first_hour, last), at=now)
    sys.stdout.write(f"{count} events from {source.first_hour} to {last}\n")
    return 0


def _serve(emulator: AmplitudeEmulator, *, exit_with_parent: bool) -> int:
    # Held back before any thread starts, so that they wait for sigwait and reach nobody else.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    with emulator:
        sys.stdout.write(f"listening on {emulator.url}\n")
        sys.stdout.flush()
        if exit_with_parent:
            Thread(target=_watch_parent, name="parent", daemon=True).start()
        signal.sigwait(_SIGNALS)
    return 0


def _watch_parent() -> None:
    """Wait for the end of standard input, then stop as if told to."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
