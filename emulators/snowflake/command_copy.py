"""COPY INTO <table> in a session: its select in DuckDB's words, its rows in the session's transaction."""

# ruff: noqa: EM101, EM102, TRY003 - what the service says stands where it is said

import datetime

import pyarrow as pa
from sqlglot import exp

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
from emulators.snowflake.copy_transform import from_source, read_transformation
from emulators.snowflake.engine import Connection, quoted
from emulators.snowflake.errors import compilation_error, missing
from emulators.snowflake.history import Loaded
from emulators.snowflake.parameters import zone_of
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
    items = read_transformation(copy.select)
    if len(items) != len(columns):
        text = f"Insert value list does not match column list expecting {len(columns)} but got {len(items)}"
        raise compilation_error(text, 2020, "21S01")
    made = []
    for item, (name, kind) in zip(items, columns, strict=True):
        inner = item.copy()
        if isinstance(inner, exp.JSONExtract) and kind == "VARCHAR":
            inner = exp.Cast(this=inner, to=exp.DataType.build("VARCHAR"))
        if kind == "TIMESTAMP WITH TIME ZONE":
            inner = exp.Cast(this=inner, to=exp.DataType.build("TIMESTAMPTZ"))
        made.append(exp.alias_(inner, name, quoted=True))
    select = exp.Select(expressions=made).transform(from_source, copy=False)
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
    started, zone = datetime.datetime.now(datetime.UTC), zone_of(session.parameters)
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
            outcome = judge(copy, file, records, label, file_format)
            outcomes.append(outcome)
            if outcome.status != "LOAD_FAILED":
                tables.append(as_table(file, records, started, zone, file_format))
                loaded.append(Loaded(full, file.url, file.etag, started))
        transaction.ready()
        if tables:
            step = Step(insert, None, {_SOURCE: pa.concat_tables(tables)})
            step.run(session.duck)
            transaction.wrote(step)
            transaction.loaded.extend(loaded)
    return report(outcomes)
