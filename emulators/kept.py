"""Folders in which an emulator keeps what it holds, from one start to the next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


class StaleState(Exception):
    """What is kept there was written by other releases of the libraries, and cannot be read safely."""


def claim(folder: Path, packages: Sequence[str]) -> None:
    """Make the folder, or see that it was written with the same releases of these packages.

    Args:
        folder: Readable by its owner only, if it has to be made.

    Raises:
        StaleState: Other releases wrote it; the message says what to do.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    releases = {name: version(name) for name in packages}
    note = folder / "written-by.json"
    if not note.exists():
        note.write_text(json.dumps(releases), "utf-8")
    elif (found := json.loads(note.read_text("utf-8"))) != releases:
        was = ", ".join(f"{name} {release}" for name, release in found.items())
        now = ", ".join(f"{name} {release}" for name, release in releases.items())
        msg = f"{folder} was written with {was}, and this is {now}: remove {folder.parent} and start again."
        raise StaleState(msg)
