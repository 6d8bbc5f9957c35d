"""Folders and files in which the stack keeps what it holds, from one start to the next."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

#: Grows when what is written here changes its form: an older stack must not take it for its own.
LAYOUT = 1


class StaleState(Exception):
    """What is kept there cannot be read safely: another release wrote it, or it is damaged."""


def unreadable(file: Path, home: Path, error: Exception) -> str:
    """What to tell a user about a file that is kept: one sentence, with the way to start anew."""
    why = " ".join(str(error).split())[:200] or type(error).__name__
    return f"{file} cannot be read ({why}): make down, then remove {home}, and make up starts anew."


def write_privately(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, on the disk on return.

    All or nothing, also in a power cut: who reads it sees the old content or the new one.
    """
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    new.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too
    finally:
        os.close(folder)


def claim(folder: Path, packages: Sequence[str]) -> None:
    """Make the folder, or see that it was written in this layout with the same releases of these packages.

    Args:
        folder: Readable by its owner only, if it has to be made.

    Raises:
        StaleState: It was not, or nobody can say so; the message says what to do.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    releases = {"layout": str(LAYOUT), **{name: version(name) for name in packages}}
    note = folder / "written-by.json"
    if not note.exists():
        write_privately(note, json.dumps(releases).encode())
        return
    try:
        found = dict(json.loads(note.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise StaleState(unreadable(note, folder.parent, error)) from None
    if found != releases:
        was = ", ".join(f"{name} {release}" for name, release in found.items())
        now = ", ".join(f"{name} {release}" for name, release in releases.items())
        msg = f"{folder} was written with {was}, and this is {now}: remove {folder.parent} and start again."
        raise StaleState(msg)
