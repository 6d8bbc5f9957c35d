"""What a statement answers: columns with Snowflake's types, and rows."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from fakesnow.rowtype import ColumnInfo
from fakesnow.statement_type import DML_TYPE_IDS, UNKNOWN


def column(name: str, kind: str = "text") -> ColumnInfo:
    """Describe one column, of type `text`, `fixed`, `boolean`, `real` or `timestamp_ltz`."""
    length = 16777216 if kind == "text" else None
    return ColumnInfo(
        name=name,
        database="",
        schema="",
        table="",
        nullable=True,
        type=kind,
        byteLength=length,
        length=length,
        scale=9 if kind.startswith("timestamp") else (0 if kind == "fixed" else None),
        precision=38 if kind == "fixed" else (0 if kind.startswith("timestamp") else None),
        collation=None,
    )


def _wire(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime.datetime):
        return f"{value.timestamp():.9f}"
    return str(value)


@dataclass
class Result:
    """The answer to one statement: either `rows`, written by hand, or `table`, from DuckDB.

    `total` is the number of rows; of a DML statement the client counts the rows affected from its one row.
    """

    rowtype: list[ColumnInfo]
    rows: list[list[str | None]] = field(default_factory=list)
    table: pa.Table | None = None
    type_id: int = UNKNOWN

    @property
    def is_dml(self) -> bool:
        """Whether the client reads the rows affected from the answer."""
        return self.type_id in DML_TYPE_IDS

    @property
    def total(self) -> int:
        """The number of rows."""
        return len(self.rows) if self.table is None else int(self.table.num_rows)


def rows_of(columns: Sequence[str], rows: Iterable[Sequence[object]], type_id: int = UNKNOWN) -> Result:
    """Answer with rows. A column is its name, with `:type` after it unless it is text."""
    rowtype = [column(*name.split(":")) for name in columns]
    return Result(rowtype, [[_wire(cell) for cell in row] for row in rows], type_id=type_id)


def status(message: str = "Statement executed successfully.") -> Result:
    """Answer with one line of text."""
    return rows_of(["status"], [[message]])


def affected(type_id: int, **counts: int) -> Result:
    """Answer a DML statement: one column of counts for each keyword, underscores read as spaces."""
    names = [f"{name.replace('_', ' ')}:fixed" for name in counts]
    return rows_of(names, [list(counts.values())], type_id)
