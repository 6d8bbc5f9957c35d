"""Read spoiled archives and manifests, and see that each is refused by an error of ours, or read aright.

    python -m tests.campaigns.fuzz --inputs 1000000 --seed 1

Every input is mutated from a sound archive, manifest, key or lake.json, and goes through the functions that
production calls. None may hang, take memory or disk without bound, write outside of its folder, or raise
anything but our errors; what is accepted must be what Python's own zipfile and gzip read. An input follows
from the seed and its number alone: what failed is kept, and can be read again with ``--only``.

Ends with 1 if anything failed, or if less than a fifth of all inputs came as far as gzip.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.campaigns.fuzz_archives import ArchiveInput
from tests.campaigns.fuzz_count import Count
from tests.campaigns.fuzz_judge import Failure, Judge, deadlines_kept, peak_memory_mib
from tests.campaigns.fuzz_reading import Reader, read_archive

#: What a worker may take of address space, in bytes. It has about 0.3 GiB before the first input.
MEMORY_CAP_BYTES = 1 << 30

_MEMORY_DISK = Path("/dev/shm")
_AT_ONCE = 5_000

#: So many inputs take a few seconds; on a machine that is busy, a minute.
_LONGEST_SECONDS = 600


def main(arguments: list[str] | None = None) -> int:
    """Read as many inputs as asked for; 1 if any failed, or too few came as far as gzip."""
    options = _read(arguments)
    if options.only is not None:
        return _again(options.seed, options.only)
    began, count = time.monotonic(), Count()
    first, end = options.first, options.first + options.inputs
    starts = range(first, end, _AT_ONCE)
    with _scratch() as scratch:
        pool = ProcessPoolExecutor(
            options.workers, multiprocessing.get_context("spawn"), initializer=_cap_memory
        )
        try:
            futures: dict[Future[Count], int] = {
                pool.submit(watched, options.seed, at, min(at + _AT_ONCE, end), scratch): at for at in starts
            }
            for future in as_completed(futures):
                count += future.result()
        except BrokenProcessPool:  # a reader has ended its process, or hung where nothing could stop it
            start = min(at for other, at in futures.items() if not other.done() or other.exception())
            _say(
                f"A worker died in the inputs from {start} on: --from {start} --inputs {_AT_ONCE} --workers 1"
            )
            return 1
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
                worker.join()
    for failure in count.failures.values():
        _say(f"FAILED {count.failed[failure.kind]:,} times: {failure.kind}")
        _say(f"  {failure.detail[:1500]}")
        _say(f"  Again: python -m tests.campaigns.fuzz --seed {options.seed} --only {failure.number}")
    for line in count.summary(time.monotonic() - began):
        _say(line)
    return 0 if count.is_good else 1


def watched(
    seed: int,
    first: int,
    end: int,
    below: Path,
    *,
    read: Reader = read_archive,
    seconds: float = _LONGEST_SECONDS,
) -> Count:
    """Play, in a process that does not outlive a hang: not even one that no signal ends, inside of C."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        return play(seed, first, end, read=read, below=below)
    finally:
        faulthandler.cancel_dump_traceback_later()


def play(seed: int, first: int, end: int, *, read: Reader = read_archive, below: Path | None = None) -> Count:
    """Judge the inputs from ``first`` to ``end``, which is not included.

    Args:
        below: Where the scratch folder is made; None for a disk in memory, if the machine has one.
    """
    count = Count()
    with _scratch(below) as scratch, deadlines_kept():
        judge = Judge(seed, scratch, read=read)
        for number in range(first, end):
            count.add(judge.judge(number))
    count.peak_mib = peak_memory_mib()
    return count


def _again(seed: int, number: int) -> int:
    """Read one input, keep it, and say what becomes of it."""
    with _scratch() as scratch, deadlines_kept():
        judge = Judge(seed, scratch)
        verdict, drawn = judge.judge(number), judge.draw(number)
    kept = Path(tempfile.gettempdir()) / f"fuzz-{seed}-{number}"
    kept.write_bytes(drawn.data)
    kind = "archive" if isinstance(drawn, ArchiveInput) else drawn.kind
    _say(f"{kind} of {len(drawn.data):,} bytes ({drawn.family}), kept in {kept}")
    _say(f"refused with {verdict.refused}" if verdict.refused else "accepted")
    for failure in verdict.failures:
        _say(_told(failure))
    return 1 if verdict.failures else 0


def _told(failure: Failure) -> str:
    return f"FAILED: {failure.kind}\n{failure.detail}"


@contextmanager
def _scratch(below: Path | None = None) -> Iterator[Path]:
    """A folder with nothing beside it."""
    if below is None and _MEMORY_DISK.is_dir():
        below = _MEMORY_DISK
    with tempfile.TemporaryDirectory(prefix="amplitude-fuzz-", dir=below) as folder:
        scratch = Path(folder) / "scratch"
        scratch.mkdir()
        yield scratch


def _cap_memory() -> None:
    """Let this process ask for no more than the cap; what asks for more gets a MemoryError."""
    with suppress(ValueError):  # macOS refuses
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_CAP_BYTES, MEMORY_CAP_BYTES))


def _read(arguments: list[str] | None) -> argparse.Namespace:
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.fuzz", description=description)
    parser.add_argument("--inputs", type=int, default=1_000_000, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="another one, other inputs")
    parser.add_argument(
        "--from", type=int, default=0, dest="first", metavar="N", help="the first one's number"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes")
    parser.add_argument("--only", type=int, metavar="N", help="read this one input, and keep it")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):  # what was started is stopped
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    sys.exit(main())
