"""``python -m emulators.s3``: S3 on loopback until it is told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from emulators.kept import StaleState
from emulators.s3.emulator import S3Emulator


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT, SIGTERM, SIGHUP, or (``--exit-with-parent``) the end of standard input."""
    options = _read(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    if options.exit_with_parent:
        threading.Thread(target=_wait_for_parent, args=(stop,), daemon=True).start()
    try:
        emulator = S3Emulator(
            port=options.port,
            buckets=options.bucket,
            access_key=options.access_key,
            secret_key=options.secret_key,
            region=options.region,
            assume_tls=options.assume_tls,
            folder=options.folder,
        )
    except StaleState as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"Cannot listen on 127.0.0.1:{options.port}: {error.strerror}\n")
        return 2
    with emulator as s3:
        sys.stdout.write(f"listening on {s3.url}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


def _wait_for_parent(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()


def _read(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulators.s3", description="S3 on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 (default): any free one")
    parser.add_argument("--bucket", action="append", default=[], help="create it at the start (repeatable)")
    parser.add_argument(
        "--access-key",
        default=os.environ.get("AWS_ACCESS_KEY") or "emulator",
        help="default: $AWS_ACCESS_KEY",
    )
    parser.add_argument(
        "--secret-key",
        default=os.environ.get("AWS_SECRET_KEY") or "emulator",
        help="default: $AWS_SECRET_KEY",
    )
    parser.add_argument(
        "--region", default=os.environ.get("AWS_REGION") or "us-east-1", help="default: $AWS_REGION"
    )
    parser.add_argument(
        "--assume-tls", action="store_true", help="judge aws:SecureTransport as if TLS ended in front"
    )
    parser.add_argument("--folder", type=Path, help="keep objects there; without it, in memory only")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when standard input ends")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
