"""A run's folder on the local disk: its own, bounded, and swept if the run was killed.

Each run's folder holds a locked file. The lock ends with the process, however it ends, so a folder
whose lock can be taken belongs to nobody, and a neighbour's run is safe.
"""

from __future__ import annotations

import errno
import fcntl
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from core.errors import PipelineError, ScratchUnusable

_PREFIX = "amplitude-run-"
_LOCK = ".in-use"


@contextmanager
def scratch_folder(root: Path | None = None) -> Iterator[Path]:
    """A new folder below ``root``, gone when the block ends; what killed runs left there is swept first.

    Args:
        root: Where scratch folders go; None is the system's temporary folder.

    Raises:
        ScratchUnusable: The folder cannot be made. Permanent.
    """
    root = root or Path(tempfile.gettempdir())
    with disk_errors(f"make a scratch folder in {root}"):
        root.mkdir(parents=True, exist_ok=True)
        sweep(root)
        folder, lock = _locked_folder(root)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def sweep(root: Path) -> list[Path]:
    """Remove the scratch folders of runs that are no more. Returns what was removed."""
    swept = []
    for folder in root.glob(f"{_PREFIX}*"):
        if not (folder / _LOCK).exists():
            continue  # made this very moment by a neighbour, who is about to lock it
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()
            swept.append(folder)
    return swept


def discard(paths: Iterable[Path]) -> None:
    """Remove files and folders that are not needed any more. Safe to repeat."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def disk_errors(attempt: str) -> Iterator[None]:
    """The disk's errors as ours.

    Raises:
        ScratchUnusable: The disk is full or refuses. Permanent: nothing was committed.
    """
    try:
        yield
    except PipelineError:
        raise
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            msg = (
                f"The disk is full: could not {attempt}. Nothing of it was committed. Make room, give the "
                "run a larger disk (setting scratch_folder), or ask for fewer hours at once (window_hours)."
            )
        else:
            msg = f"Could not {attempt}: {error.strerror or type(error).__name__} ({error.filename})."
        raise ScratchUnusable(msg) from error


def _locked_folder(root: Path) -> tuple[Path, IO[str]]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        lock = _lock(folder)
        if lock is not None:
            if (folder / _LOCK).exists():
                return folder, lock
            lock.close()  # a sweeper came between making and locking: this folder is gone


def _lock(folder: Path) -> IO[str] | None:
    """The folder's lock, taken; None if somebody holds it or the folder is gone."""
    try:
        file = (folder / _LOCK).open("a")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
