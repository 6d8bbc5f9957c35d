"""CREATE and DROP of databases, schemas and tables, TRUNCATE: what they do beside DuckDB's part."""

# ruff: noqa: EM101, EM102 - what the service says stands where it is said

import duckdb
from fakesnow.dialect import parse_one
from sqlglot import exp

from emulators.snowflake.command import Command, Handler
from emulators.snowflake.engine import quoted
from emulators.snowflake.errors import already_exists, missing, no_current
from emulators.snowflake.results import Result, status


def _create_database(command: Command) -> Result:
    exists_ok = command.if_not_exists()
    name = command.words.name()[0]
    place = command.session.connection
    if place.has_database(name):
        if exists_ok:
            return status(f"{name} already exists, statement succeeded.")
        if not command.replace:
            raise already_exists(name)
        _forget(command, f"{name}.")
        place.duck.execute("SET schema = 'memory.main'")
        place.drop_database(name)
    place.create_database(name)
    place.use(name, "PUBLIC")
    return status(f"Database {name} successfully created.")


def _create_schema(command: Command) -> Result:
    exists_ok = command.if_not_exists()
    name = command.words.name()
    place = command.session.connection
    if len(name) == 1 and not place.database_set:
        raise no_current("database", "CREATE SCHEMA")
    database, schema = (place.database or "", name[0]) if len(name) == 1 else (name[0], name[1])
    if not place.has_database(database):
        raise missing("Database", database)
    if place.has_schema(database, schema):
        if exists_ok:
            return status(f"{schema} already exists, statement succeeded.")
        if not command.replace:
            raise already_exists(f"{database}.{schema}")
        _forget(command, f"{database}.{schema}.")
        place.duck.execute(f"DROP SCHEMA {quoted(database)}.{quoted(schema)} CASCADE")
    place.duck.execute(f"CREATE SCHEMA {quoted(database)}.{quoted(schema)}")
    place.use(database, schema)
    return status(f"Schema {schema} successfully created.")


def _drop_database(command: Command) -> Result:
    missing_ok = command.if_exists()
    name = command.words.name()[0]
    place = command.session.connection
    if not place.has_database(name):
        if missing_ok:
            return status("Drop statement executed successfully (" + name + " already dropped).")
        raise missing("Database", name)
    _forget(command, f"{name}.")
    if place.database == name:
        place.use(None, None)
    place.drop_database(name)
    return status(f"{name} successfully dropped.")


def _drop_schema(command: Command) -> Result:
    missing_ok = command.if_exists()
    name = command.words.name()
    place = command.session.connection
    database, schema = (place.database or "", name[0]) if len(name) == 1 else (name[0], name[1])
    if not place.has_database(database) or not place.has_schema(database, schema):
        if missing_ok:
            return status("Drop statement executed successfully (" + schema + " already dropped).")
        raise missing("Schema", f"{database}.{schema}")
    _forget(command, f"{database}.{schema}.")
    if (place.database, place.schema) == (database, schema):
        place.use(database, None)
    place.duck.execute(f"DROP SCHEMA {quoted(database)}.{quoted(schema)} CASCADE")
    return status(f"{schema} successfully dropped.")


def _forget(command: Command, prefix: str) -> None:
    account = command.session.account
    account.history.forget(prefix)
    for store in (account.objects.stages, account.objects.formats):
        for name in [name for name in store if ".".join(name).startswith(prefix)]:
            store.pop(name, None)


def _create_table(command: Command) -> Result:
    """A table made anew has no load history; IF NOT EXISTS leaves an existing one, and its rows, alone."""
    exists_ok = command.if_not_exists()
    place = command.session.connection
    name = place.qualify(command.words.name(), "CREATE TABLE")
    if not place.has_database(name[0]) or not place.has_schema(name[0], name[1]):
        raise missing("Schema", f"{name[0]}.{name[1]}")
    if place.has_table(*name) and not command.replace:
        if exists_ok:
            return status(f"{name[2]} already exists, statement succeeded.")
        raise already_exists(name[2])
    result, _ = place.run(command.sql)
    _keep_not_null(command.sql, ".".join(quoted(part) for part in name), place.duck)
    command.session.account.history.forget(".".join(name))
    return result


def _keep_not_null(sql: str, table: str, duck: duckdb.DuckDBPyConnection) -> None:
    # fakesnow's CREATE TABLE … AS SELECT keeps the columns' types and loses their constraints.
    create = parse_one(sql)
    if not (isinstance(create, exp.Create) and create.expression and isinstance(create.this, exp.Schema)):
        return
    for column in create.this.expressions:
        if isinstance(column, exp.ColumnDef) and column.find(exp.NotNullColumnConstraint):
            name = column.this.name if column.this.quoted else column.this.name.upper()
            duck.execute(f"ALTER TABLE {table} ALTER COLUMN {quoted(name)} SET NOT NULL")


def _drop_table(command: Command) -> Result:
    missing_ok = command.if_exists()
    place = command.session.connection
    name = place.qualify(command.words.name(), "DROP TABLE")
    if not place.has_table(*name):
        if missing_ok:
            return status("Drop statement executed successfully (" + name[2] + " already dropped).")
        raise missing("Table", ".".join(name))
    with command.session.writing() as transaction:
        command.session.lock(".".join(name), transaction.id)
    place.duck.execute("DROP TABLE " + ".".join(quoted(part) for part in name))
    command.session.account.history.forget(".".join(name))
    return status(f"{name[2]} successfully dropped.")


def _truncate(command: Command) -> Result:
    """Remove all rows and the load history. Source: the TRUNCATE TABLE page of the SQL reference."""
    missing_ok = command.if_exists()
    place = command.session.connection
    name = place.qualify(command.words.name(), "TRUNCATE TABLE")
    if not place.has_table(*name):
        if missing_ok:
            return status()
        raise missing("Table", ".".join(name))
    with command.session.writing() as transaction:
        command.session.lock(".".join(name), transaction.id)
        transaction.ready()
        place.duck.execute("DELETE FROM " + ".".join(quoted(part) for part in name))  # noqa: S608
    command.session.account.history.forget(".".join(name))
    return status()


HANDLERS: dict[tuple[str, str], Handler] = {
    ("CREATE", "DATABASE"): _create_database,
    ("CREATE", "SCHEMA"): _create_schema,
    ("CREATE", "TABLE"): _create_table,
    ("DROP", "DATABASE"): _drop_database,
    ("DROP", "SCHEMA"): _drop_schema,
    ("DROP", "TABLE"): _drop_table,
    ("TRUNCATE", "TABLE"): _truncate,
}
