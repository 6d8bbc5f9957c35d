"""The errors Snowflake answers with, by number.

Numbers and SQL states follow the service as its documentation and public reports show them; a text that
could not be confirmed says so beside it.
"""

import re

import duckdb
import snowflake.connector.errors


class SqlError(Exception):
    """One failed statement, as the service reports it.

    Args:
        errno: Snowflake's error number, for example 2003.
        sqlstate: five characters, for example `02000`.
        message: the text that the client shows.
    """

    def __init__(self, errno: int, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.errno = errno
        self.sqlstate = sqlstate
        self.message = message


class SessionGone(Exception):
    """The session was ended: closed, killed by a fault, or given up as dead."""


def compilation_error(message: str, errno: int = 1003, sqlstate: str = "42000") -> SqlError:
    """Report a statement that could not be compiled."""
    return SqlError(errno, sqlstate, f"SQL compilation error:\n{message}")


def missing(kind: str, name: str) -> SqlError:
    """Report an object that is not there, or that the role may not see: Snowflake does not tell which."""
    sqlstate = "42S02" if kind in {"Object", "Table"} else "02000"
    return compilation_error(f"{kind} '{name}' does not exist or not authorized.", 2003, sqlstate)


def cannot_operate() -> SqlError:
    """Report a USE, or an operation, on an object that is not there."""
    return compilation_error("Object does not exist, or operation cannot be performed.", 2043, "02000")


def already_exists(name: str) -> SqlError:
    """Report a CREATE of something that exists, without IF NOT EXISTS or OR REPLACE."""
    return compilation_error(f"Object '{name}' already exists.", 2002, "42710")


def invalid_parameter(name: str) -> SqlError:
    """Report a setting that there is not."""
    return compilation_error(f"invalid parameter '{name}'", 1006, "22023")


def invalid_value(name: str, value: str) -> SqlError:
    """Report a setting that cannot have this value."""
    return compilation_error(f"invalid value [{value}] for parameter '{name}'", 1008, "22023")


def no_current(what: str, command: str) -> SqlError:
    """Report a statement that needs a current database (90105), schema (90106) or warehouse (606)."""
    if what == "warehouse":
        return SqlError(
            606,
            "57P03",
            "No active warehouse selected in the current session.  "
            "Select an active warehouse with the 'use warehouse' command.",
        )
    errno = 90105 if what == "database" else 90106
    hint = what.upper()
    return SqlError(
        errno,
        "22000",
        f"Cannot perform {command}. This session does not have a current {what}. "
        f"Call 'USE {hint}', or use a qualified name.",
    )


def locked(holder: str, table: str, transaction: int, waiter: str, reason: str) -> SqlError:
    """Report a statement that gave up waiting for a table's lock. Always 000625 (57014)."""
    return SqlError(
        625,
        "57014",
        f"Statement '{holder}' has locked table '{table}' in transaction {transaction} "
        f"and this lock has not yet been released.\nYour statement '{waiter}' was aborted because {reason}.",
    )


def too_many_statements(count: int) -> SqlError:
    """Report several statements in one text; nothing of it was run."""
    text = f"Actual statement count {count} did not match the desired statement count 1."
    return SqlError(8, "0A000", text)


def internal(error: BaseException) -> SqlError:
    """Report what the emulator cannot do, as a SQL error: an HTTP 500 would be retried for minutes."""
    return SqlError(603, "XX000", f"SQL execution internal error:\n{type(error).__name__}: {error}")


def _object_name(text: str) -> str:
    found = re.search(r"with name \"?([^\s\"!]+)", text)
    return found[1] if found else "?"


def _from_binder(text: str) -> SqlError:
    if found := re.search(r'Referenced column "([^"]+)" (?:was )?not found', text):
        return compilation_error(f"error line 1 at position 0\ninvalid identifier '{found[1]}'", 904)
    if found := re.search(r'(?:Catalog|Schema|Table) "([^"]+)" does not exist', text):
        return missing("Object", found[1])
    if "values were supplied" in text:
        return compilation_error(text, 2020, "21S01")
    return compilation_error(text, 2043, "02000")


def _from_duckdb(error: duckdb.Error) -> SqlError:
    text = str(error).split("\n", maxsplit=1)[0]
    if isinstance(error, duckdb.CatalogException):
        if "already exists" in text:
            return already_exists(_object_name(text))
        if "Function" in text:
            return compilation_error(f"Unknown function {_object_name(text)}.", 2140, "42601")
        kind = "Schema" if text.startswith("Catalog Error: Schema") else "Object"
        sqlstate = "02000" if kind == "Schema" else "42S02"
        return compilation_error(
            f"{kind} '{_object_name(text)}' does not exist or not authorized.", 2003, sqlstate
        )
    if isinstance(error, duckdb.BinderException):
        return _from_binder(text)
    if isinstance(error, duckdb.ConstraintException):
        if "NOT NULL" in text:
            return SqlError(100072, "22000", f"NULL result in a non-nullable column ({text})")
        return SqlError(200001, "22000", text)
    if isinstance(error, duckdb.ConversionException):
        return SqlError(100038, "22018", text)
    if isinstance(error, duckdb.ParserException):
        return compilation_error(text)
    if "cannot affect the same target row more than once" in text:
        return SqlError(100090, "42P18", "Duplicate row detected during DML action")
    if isinstance(error, duckdb.InterruptException):
        return SqlError(604, "57014", "SQL execution canceled")
    return internal(error)


def as_sql_error(error: BaseException) -> SqlError:
    """Turn whatever a statement raised into the error that the service would answer with."""
    if isinstance(error, SqlError):
        return error
    if isinstance(error, snowflake.connector.errors.Error):
        if isinstance(error.__cause__, duckdb.Error):
            return _from_duckdb(error.__cause__)
        return SqlError(error.errno or 603, error.sqlstate or "XX000", error.msg or str(error))
    if isinstance(error, duckdb.Error):
        return _from_duckdb(error)
    return internal(error)
