"""fakesnow's connection and cursor, with what they lack: exact MERGE counts, a journal, our rewriting."""

# ruff: noqa: EM101, EM102, TRY003 - what the service says stands where it is said

import datetime
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow as pa
from fakesnow import info_schema, macros
from fakesnow.conn import FakeSnowflakeConnection
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.dialect import parse_one
from fakesnow.instance import FakeSnow
from fakesnow.params import MutableParams
from fakesnow.rowtype import describe_as_rowtype
from fakesnow.statement_type import DML_TYPE_IDS, statement_type_id
from snowflake.connector.cursor import SnowflakeCursor
from sqlglot import Expr, exp

from emulators.snowflake.errors import compilation_error, no_current
from emulators.snowflake.leftovers import remove_leftovers_at_exit
from emulators.snowflake.lexer import lex
from emulators.snowflake.results import Result, affected
from emulators.snowflake.rewrite import rewrite

Step = tuple[str, Any]
_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
_KEPT_RESULTS = 4
DATABASE_SUFFIX = ".duckdb"
# DuckDB's advice to fakesnow.
warnings.filterwarnings("ignore", message="Arrow output on a DB-API result")
remove_leftovers_at_exit()


class _RecentResults(dict[str, Any]):
    """fakesnow keeps every result for ever; this keeps the last few."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > _KEPT_RESULTS:
            del self[next(iter(self))]


class Cursor(FakeSnowflakeCursor):
    """Runs one statement, and says which DuckDB statements changed data (`written`)."""

    def __init__(self, connection: "Connection", **options: Any) -> None:
        super().__init__(connection, connection.duck, **options)
        self.connection = connection
        self.written: list[Step] = []
        self.merge_counts: dict[str, int] | None = None

    def _inline_variables(self, sql: str) -> str:
        # fakesnow takes a $ inside strings and quoted names for a session variable.
        variables: dict[str, str] = self.connection.variables._variables  # noqa: SLF001
        made, end = "", 0
        for token in lex(sql):
            if token.kind == "word" and token.text.startswith("$") and not token.text[1:].isdigit():
                values = {name.upper(): value for name, value in variables.items()}
                if token.text[1:] not in values:
                    raise compilation_error(
                        f"error line 1\nSession variable '{token.text}' does not exist", 2211
                    )
                made += sql[end : token.start] + values[token.text[1:]]
                end = token.end
        return made + sql[end:]

    def _transform(self, expression: Expr, params: MutableParams | None) -> Expr:
        made = rewrite(expression, self.connection.context(), datetime.datetime.now(datetime.UTC))
        return super()._transform(made, params)

    def _transform_explode(self, expression: Expr) -> list[Expr]:
        return [expression] if isinstance(expression, exp.Merge) else super()._transform_explode(expression)

    def _execute(self, transformed: Expr, params: MutableParams | None = None) -> None:
        if isinstance(transformed, exp.Merge):
            self._merge(_strip_target(transformed), params)
        else:
            super()._execute(transformed, params)
        if isinstance(transformed, _WRITES):
            self.written.append((transformed.sql(dialect="duckdb"), params))

    def _merge(self, merge: exp.Merge, params: MutableParams | None) -> None:
        sql = merge.sql(dialect="duckdb")
        rows = self._duck_conn.execute(f"{sql} RETURNING merge_action", params).fetchall()
        actions = [row[0] for row in rows]
        kinds = {"inserted": "INSERT", "updated": "UPDATE", "deleted": "DELETE"}
        whens = merge.args["whens"].sql(dialect="duckdb")
        self.merge_counts = {
            f"number_of_rows_{word}": actions.count(kind)
            for word, kind in kinds.items()
            if f"THEN {kind}" in whens
        }


def _strip_target(merge: exp.Merge) -> exp.Merge:
    # DuckDB wants bare column names on the left of SET, Snowflake allows the target's name before them.
    for update in merge.find_all(exp.Update):
        for item in update.expressions:
            if isinstance(item, exp.EQ) and isinstance(item.this, exp.Column):
                item.set("this", exp.column(item.this.this))
    return merge


class Connection(FakeSnowflakeConnection):
    """One session's DuckDB connection. Nothing is created by connecting; no current database at first."""

    def __init__(self, fake: FakeSnow, context: Callable[[], Mapping[str, str | None]]) -> None:
        self.duck = fake.duck_conn.cursor()
        self.folder = Path(fake.db_path) if fake.db_path else None
        self.context = context
        super().__init__(
            self.duck,
            _RecentResults(),
            None,
            None,
            create_database=False,
            create_schema=False,
            autocommit=True,
        )

    def cursor(self, cursor_class: type[SnowflakeCursor] = SnowflakeCursor) -> Cursor:  # noqa: ARG002
        """Make a cursor over this session's connection."""
        return Cursor(self)

    def run(self, sql: str, params: Any = None) -> tuple[Result, list[Step]]:
        """Run one statement; gives its answer and what to repeat if its transaction must be rebuilt."""
        cursor = self.cursor()
        type_id = statement_type_id(parse_one(sql))
        cursor.execute(sql, binding_params=params, server=True)
        if cursor.merge_counts is not None:
            return affected(type_id, **cursor.merge_counts), cursor.written
        table: pa.Table | None = cursor._arrow_table  # noqa: SLF001
        rowtype = describe_as_rowtype(cursor._describe_last_sql())  # noqa: SLF001
        result = Result(rowtype, table=table, type_id=type_id)
        if type_id in DML_TYPE_IDS and table is not None:
            columns = [values.to_pylist() for values in table.columns]
            result.rows = [[None if v is None else str(v) for v in row] for row in zip(*columns, strict=True)]
            result.table = None
        return result, cursor.written

    def describe(self, sql: str) -> Result:
        """The columns of a query's answer, without running it."""
        cursor = self.cursor()
        described = cursor._describe_only(sql)  # noqa: SLF001
        if described is None:
            raise compilation_error("only queries can be described here", 603, "XX000")
        return Result(describe_as_rowtype(described), type_id=statement_type_id(parse_one(sql)))

    def translate_expression(self, expression: Expr) -> str:
        """Give DuckDB's SQL for an expression of Snowflake's, without running it."""
        made = self.cursor()._transform(expression, None)  # noqa: SLF001
        return str(made.sql(dialect="duckdb"))

    def has_database(self, name: str) -> bool:
        """Whether a database exists."""
        sql = "SELECT 1 FROM duckdb_databases() WHERE database_name = ? AND NOT internal"
        return self.duck.execute(sql, [name]).fetchone() is not None

    def has_schema(self, database: str, name: str) -> bool:
        """Whether a schema exists."""
        sql = "SELECT 1 FROM duckdb_schemas() WHERE database_name = ? AND schema_name = ?"
        stored = "_fs_information_schema" if name == "INFORMATION_SCHEMA" else name
        return self.duck.execute(sql, [database, stored]).fetchone() is not None

    def has_table(self, database: str, schema: str, name: str) -> bool:
        """Whether a table exists."""
        sql = "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?"
        return self.duck.execute(sql, [database, schema, name]).fetchone() is not None

    def create_database(self, name: str) -> None:
        """Create a database with its PUBLIC schema: in memory, or as a file in the account's folder."""
        attach(self.duck, self.folder, name)
        self.duck.execute(info_schema.per_db_creation_sql(name))
        self.duck.execute(macros.creation_sql(name))
        self.duck.execute(f"CREATE SCHEMA {quoted(name)}.{quoted('PUBLIC')}")

    def drop_database(self, name: str) -> None:
        """Drop a database, with its file if it has one."""
        self.duck.execute(f"DETACH {quoted(name)}")
        if self.folder is not None:
            file = database_file(self.folder, name)
            for leftover in (file, file.with_name(f"{file.name}.wal")):
                leftover.unlink(missing_ok=True)

    def use(self, database: str | None, schema: str | None) -> None:
        """Set what unqualified names mean; both must exist, or be None."""
        self.database, self.database_set = database, database is not None
        self._schema, self.schema_set = schema, schema is not None
        place = f"{database or 'memory'}.{schema or 'main'}"
        self.duck.execute(f"SET schema = '{place}'")

    def qualify(self, name: tuple[str, ...], command: str = "operation") -> tuple[str, str, str]:
        """A name in full, from the session's current database and schema.

        Raises:
            SqlError: 090105 or 090106 where the session has none.
        """
        if len(name) < 3 and not self.database_set:  # noqa: PLR2004
            raise no_current("database", command)
        if len(name) < 2 and not self.schema_set:  # noqa: PLR2004
            raise no_current("schema", command)
        parts = (self.database or "", self.schema or "")[: 3 - len(name)] + name
        return parts[0], parts[1], parts[2]


def database_file(folder: Path, name: str) -> Path:
    """Where a database is kept: its name may hold any character, the file's must not."""
    return folder / f"{quote(name, safe='')}{DATABASE_SUFFIX}"


def attach(duck: duckdb.DuckDBPyConnection, folder: Path | None, name: str) -> None:
    """Attach a database by its name, from its file or as a new one; without a folder, in memory."""
    place = ":memory:" if folder is None else str(database_file(folder, name)).replace("'", "''")
    duck.execute(f"ATTACH '{place}' AS {quoted(name)}")


def quoted(name: str) -> str:
    """A name as DuckDB takes it literally."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
