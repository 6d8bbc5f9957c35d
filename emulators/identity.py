"""Who a stack is: its ports, keys and secrets, new or as they were the last time."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from emulators.children import StackError, free_port, is_free
from emulators.kept import LAYOUT, unreadable, write_privately

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
        """The one that was kept there, or a new one.

        Raises:
            StackError: The one that was kept there is damaged, or of another layout.
        """
        if home is None or not (file := home / _FILE).exists():
            return cls()
        try:
            kept = json.loads(file.read_text("utf-8"))
            if kept["layout"] != LAYOUT:
                msg = f"layout {kept['layout']}, and this is {LAYOUT}"
                raise ValueError(msg)
            return TypeAdapter(cls).validate_python(kept["identity"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            # Pydantic shows what it has read, and that is secret.
            told = ValueError("it has another form") if isinstance(error, ValidationError) else error
            raise StackError(unreadable(file, home, told)) from None

    def keep(self, home: Path) -> None:
        """Write it down, all or nothing, for its owner only."""
        kept = {"layout": LAYOUT, "identity": asdict(self)}
        write_privately(home / _FILE, json.dumps(kept, indent=2).encode())

    def port(self, name: str) -> int:
        """The port that it had, if that is free, or another one."""
        port = self.ports.get(name, 0)
        return port if port and is_free(port) else free_port()


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder
