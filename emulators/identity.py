"""Who a stack is: its ports, keys and secrets, new or as they were the last time."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from emulators.children import free_port, is_free

_FILE = "stack.json"


def _amplitude() -> Mapping[str, str]:
    return {"AMP_API_KEY": secrets.token_hex(16), "AMP_SECRET_KEY": secrets.token_hex(16)}


def _lake() -> Mapping[str, str]:
    return {
        "AWS_ACCESS_KEY": f"STACK{secrets.token_hex(8).upper()}",
        "AWS_SECRET_KEY": secrets.token_hex(20),
    }


@dataclass(frozen=True, slots=True)
class Identity:
    """What stays the same from one start to the next.

    Args:
        kms_key: The key of the lake, once its bucket is set up; empty before.
    """

    amplitude: Mapping[str, str] = field(default_factory=_amplitude)
    lake: Mapping[str, str] = field(default_factory=_lake)
    ports: Mapping[str, int] = field(default_factory=dict)
    kms_key: str = ""

    @classmethod
    def of(cls, home: Path | None) -> Self:
        """The one that was kept there, or a new one."""
        if home is None or not (home / _FILE).exists():
            return cls()
        return cls(**json.loads((home / _FILE).read_text("utf-8")))

    def keep(self, home: Path) -> None:
        """Write it down, all or nothing, for its owner only."""
        write_privately(home / _FILE, json.dumps(asdict(self), indent=2))

    def port(self, name: str) -> int:
        """The port that it had, if that is free, or another one."""
        port = self.ports.get(name, 0)
        return port if port and is_free(port) else free_port()


def write_privately(path: Path, text: str) -> None:
    """Write a file that only its owner may read; who reads it sees the old text or the new one."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder
