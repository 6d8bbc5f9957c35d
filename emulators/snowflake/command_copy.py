"""COPY INTO <table> in a session: its select in DuckDB's words, its rows in the session's transaction."""

# ruff: noqa: EM101, EM102, TRY003 - what the service says stands where it is said

import datetime

import pyarrow as pa
from fakesnow.dialect import parse_one
from sqlglot import Expr, exp

from emulators.snowflake.command_format import resolve_format
from emulators.snowflake.command_stage import find_stage
from emulators.snowflake.copy_load import (
    Outcome,
    as_table,
    judge,
    read_files,
    report,
    report_errors,
    select_files,
)
from emulators.snowflake.copy_statement import CopyStatement, parse_copy
from emulators.snowflake.engine import Connection, quoted
from emulators.snowflake.errors import compilation_error, missing
from emulators.snowflake.history import Loaded
from emulators.snowflake.results import Result
from emulators.snowflake.session import Session
from emulators.snowflake.transaction import Step

_SOURCE = "_COPY_SOURCE"


def _columns(
    connection: Connection, copy: CopyStatement, table: tuple[str, str, str]
) -> list[tuple[str, str]]:
    sql = (
        "SELECT column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = ? AND schema_name = ? AND table_name = ? ORDER BY column_index"
    )
    kinds = dict(connection.duck.execute(sql, list(table)).fetchall())
    for name in copy.columns:
        if name not in kinds:
            raise compilation_error(f"error line 1 at position 0\ninvalid identifier '{name}'", 904)
    return [(name, kinds[name]) for name in copy.columns or kinds]


def _from_source(node: Expr) -> Expr:
    if isinstance(node, exp.Parameter):
        if node.name != "1":
            raise compilation_error(f"JSON files have one column, $1, not ${node.name}.", 2019, "0A000")
        return exp.column(exp.to_identifier("_C1", quoted=True))
    if isinstance(node, exp.Column):
        if node.name.upper().startswith("METADATA$"):
            return exp.column(exp.to_identifier(node.name.upper(), quoted=True))
        if isinstance(node.this, exp.Parameter) and node.this.name == "1":  # t.$1
            return exp.column(exp.to_identifier("_C1", quoted=True))
        raise compilation_error(f"error line 1 at position 0\ninvalid identifier '{node.name}'", 904)
    return node


def _insert(connection: Connection, copy: CopyStatement, columns: list[tuple[str, str]], table: str) -> str:
    """The INSERT that a COPY amounts to, in DuckDB's SQL."""
    if copy.select is None:
        if len(columns) != 1 or columns[0][1] != "JSON":
            text = (
                "JSON file format can produce one and only one column of type variant, object, or array. "
                "Load data into separate columns using the MATCH_BY_COLUMN_NAME copy option or copy with "
                "transformation."
            )
            raise compilation_error(text, 2019, "0A000")
        only = quoted(columns[0][0])
        return f'INSERT INTO {table} ({only}) SELECT "_C1" FROM {_SOURCE}'  # noqa: S608
    parsed = parse_one(f"SELECT {copy.select}")
    if not isinstance(parsed, exp.Select) or any(parsed.args.get(key) for key in ("where", "order", "limit")):
        raise compilation_error(
            "COPY statement only supports simple SELECT from stage statements for import.", 1026
        )
    if len(parsed.expressions) != len(columns):
        given = len(parsed.expressions)
        text = f"Insert value list does not match column list expecting {len(columns)} but got {given}"
        raise compilation_error(text, 2020, "21S01")
    made = []
    for item, (name, kind) in zip(parsed.expressions, columns, strict=True):
        inner = item.this if isinstance(item, exp.Alias) else item
        if isinstance(inner, exp.JSONExtract) and kind == "VARCHAR":
            inner = exp.Cast(this=inner.copy(), to=exp.DataType.build("VARCHAR"))
        made.append(exp.alias_(inner.copy(), name, quoted=True))
    select = exp.Select(expressions=made).transform(_from_source, copy=False)
    body = connection.translate_expression(select)
    names = ", ".join(quoted(name) for name, _ in columns)
    return f"INSERT INTO {table} ({names}) {body} FROM {_SOURCE}"


def copy_into(session: Session, sql: str) -> Result:
    """Run a COPY INTO <table>."""
    copy = parse_copy(sql)
    connection = session.connection
    name = connection.qualify(copy.table, "COPY")
    if not connection.has_table(*name):
        raise missing("Table", ".".join(name))
    columns = _columns(connection, copy, name)
    stage = find_stage(session, copy.stage)
    file_format = resolve_format(session, copy.options.get("FILE_FORMAT"), stage.file_format)
    target = ".".join(quoted(part) for part in name)
    insert = _insert(connection, copy, columns, target)
    at = "$1" if copy.select else columns[0][0]
    label = f'"{name[2]}"["{at}":1]'
    session.need_warehouse()
    lake = session.account.lake
    plan = select_files(copy, stage, lake)
    if "VALIDATION_MODE" in copy.options:
        read = read_files(plan.files, file_format, lake)
        return report_errors([(file, one) for file, records in read for one in records.problems], label)
    started = datetime.datetime.now(datetime.UTC)
    with session.writing() as transaction:
        full = ".".join(name)
        pending = transaction.loaded
        wanted, outcomes = [], list(plan.settled)
        for file in plan.files:
            if copy.force or not session.account.history.holds(full, file.url, file.etag, started, pending):
                wanted.append(file)
            elif copy.files is not None:
                outcomes.append(Outcome(file.url, "LOAD_SKIPPED"))
        tables: list[pa.Table] = []
        loaded: list[Loaded] = []
        for file, records in read_files(wanted, file_format, lake):
            session.check()
            outcome = judge(copy, file, records, label)
            outcomes.append(outcome)
            if outcome.status != "LOAD_FAILED":
                tables.append(as_table(file, records, started))
                loaded.append(Loaded(full, file.url, file.etag, started))
        transaction.ready()
        if tables:
            step = Step(insert, None, {_SOURCE: pa.concat_tables(tables)})
            step.run(session.duck)
            transaction.wrote(step)
            transaction.loaded.extend(loaded)
    return report(outcomes)
