"""A schema in memory, over the texts of :mod:`core.warehouse.statements` alone; a load takes milliseconds.

What it knows of Snowflake: a transaction's changes are its own until COMMIT, and gone if it does not come;
COPY refuses a file that is missing or holds a line that is no JSON. The emulator knows the rest.
"""

from __future__ import annotations

import copy
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Self

from core.hours import ExportHour
from core.warehouse import statements
from core.warehouse.contents import HourToLoad, PartToLoad
from core.warehouse.loader import Warehouse
from tests.core.warehouse.scripted_tables import LAKE, Row, Statements, Tables

APP = 100011471

#: A statement's name by its text.
NAMES = {text: name for name, text in vars(statements).items() if name.isupper() and isinstance(text, str)}


def content(
    hour: ExportHour, *events: int, digest: str = "1", later: datetime | None = None, **more: Any
) -> HourToLoad:
    """An hour of parts with so many events."""
    parts = tuple(PartToLoad(file(hour, number), count) for number, count in enumerate(events))
    return HourToLoad(hour, later or hour.complete_at, digest * 32, parts, **more)


def file(hour: ExportHour, number: int = 0, crc32: str = "1a2b3c4d") -> str:
    """Where a part lies, relative to the stage."""
    folder = f"events/date={hour.day}/hour={hour.hour_of_day}/"
    return f"{folder}{APP}_{hour.day}_{int(hour.hour_of_day)}_{number}-{crc32}.json"


class Schema:
    """One schema, and what was said to it.

    Attributes:
        stage: Each file's lines, by its key relative to the stage.
        said: Session, name of the statement, and values, in order.
        closed: Sessions that are over.
        instead: Answers to the next statements of a name, given before the schema's own.
    """

    def __init__(self) -> None:
        self.tables = Tables()
        self.stage: dict[str, list[str]] = {}
        self.said: list[tuple[int, str, Mapping[str, Any]]] = []
        self.closed: list[int] = []
        self.instead: dict[str, deque[Callable[[Mapping[str, Any]], Any] | None]] = defaultdict(deque)
        self.numbers = itertools.count(1)

    def put(self, *hours: HourToLoad) -> None:
        """Let the stage hold what the hours say."""
        for hour in hours:
            self.stage |= {part.file: ["good"] * part.events for part in hour.parts}

    def connect(self) -> Any:
        """Log in."""
        return _Connection(self, next(self.numbers))

    def warehouse(self, **changes: Any) -> Warehouse:
        """The door."""
        given: dict[str, Any] = {"lake_url": LAKE, "app_id": APP, "run": "wise-owl"}
        return Warehouse(self.connect, **(given | changes))

    def names(self, session: int | None = None) -> list[str]:
        """What was said, in order."""
        return [name for number, name, _ in self.said if session in {None, number}]

    def values(self, name: str) -> list[Mapping[str, Any]]:
        """What the statements of a name were given."""
        return [values for _, said, values in self.said if said == name]

    def counts(self) -> dict[str, int]:
        """Rows by hour."""
        found: Counter[str] = Counter()
        for (hour, _), lines in self.tables.rows.items():
            found[hour] += len(lines)
        return dict(found)


class _Connection:
    def __init__(self, schema: Schema, number: int) -> None:
        self.schema = schema
        self.number = number
        self.own: Tables | None = None
        self.description: list[Any] | None = None
        self.rowcount: int | None = None
        self._rows: list[Row] = []

    def close(self) -> None:
        self.schema.closed.append(self.number)
        self.own = None

    def cursor(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """A cursor that is closed."""

    def execute(self, text: str, values: Mapping[str, Any] | None, *, timeout: int | None) -> None:
        name, given = NAMES[text], values or {}
        assert self.number not in self.schema.closed
        assert (timeout is not None) == name.startswith("COPY_"), "a COPY has a limit of its own"
        self.schema.said.append((self.number, name, given))
        waiting = self.schema.instead[name]
        instead = waiting.popleft() if waiting else None
        answer = instead(given) if instead else self._answer(name, given)
        self._rows = answer if isinstance(answer, list) else []
        self.rowcount = len(answer) if isinstance(answer, list) else answer
        columns = list(self._rows[0]) if self._rows else []
        self.description = [SimpleNamespace(name=column.upper()) for column in columns]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self._rows]

    def _answer(self, name: str, values: Mapping[str, Any]) -> Any:
        if name == "BEGIN":
            self.own = copy.deepcopy(self.schema.tables)
        elif name == "ROLLBACK":
            self.own = None
        elif name == "COMMIT":
            assert self.own is not None
            self.schema.tables, self.own = self.own, None
        elif name == "READ_TRANSACTION":
            return [{"id": f"17{self.number}" if self.own else None}]
        else:
            tables = self.own or copy.deepcopy(self.schema.tables)
            return getattr(Statements(tables, self.schema.stage), name.lower())(**values)
        return None
