"""Which statement is whose: transactions and DML here, commands in their modules, the rest to fakesnow."""

# ruff: noqa: EM101 - what the service says stands where it is said

import dataclasses
import re

from fakesnow.statement_type import SELECT

from emulators.snowflake import (
    command_access,
    command_copy,
    command_format,
    command_integration,
    command_schema,
    command_session,
    command_stage,
)
from emulators.snowflake.command import Command, Handler
from emulators.snowflake.errors import SqlError, missing, too_many_statements
from emulators.snowflake.lexer import Words, lex
from emulators.snowflake.results import Result, status
from emulators.snowflake.session import Session
from emulators.snowflake.transaction import Step, Transaction

_HANDLERS: dict[tuple[str, str], Handler] = {
    **command_access.HANDLERS,
    **command_format.HANDLERS,
    **command_integration.HANDLERS,
    **command_schema.HANDLERS,
    **command_session.HANDLERS,
    **command_stage.HANDLERS,
}
_TRANSACTIONS = {"BEGIN", "START", "COMMIT", "ROLLBACK", "ABORT"}
_DML = {"INSERT", "UPDATE", "DELETE", "MERGE"}
_DDL = {"CREATE", "ALTER", "DROP", "TRUNCATE", "GRANT", "REVOKE", "UNDROP", "COMMENT"}
_VERBS = {"DESC": "DESCRIBE", "LS": "LIST", "ABORT": "ROLLBACK", "START": "BEGIN"}
_MODIFIERS = {"TEMP", "TEMPORARY", "TRANSIENT", "LOCAL", "GLOBAL", "VOLATILE", "TERSE", "SECURE", "FUTURE"}


def run_statement(session: Session, sql: str, params: object) -> Result:
    """Run one statement in a session.

    Raises:
        Exception: whatever went wrong; the session translates it.
    """
    tokens = lex(sql)
    words = Words(tokens)
    if words.next is None:
        raise SqlError(900, "42601", "SQL compilation error:\nEmpty SQL statement.")
    if (count := 1 + sum(token.word == ";" for token in tokens)) > 1:
        raise too_many_statements(count)
    verb = _VERBS.get(words.peek(), words.peek())
    open_transaction = session.transaction
    if open_transaction and open_transaction.aborted and verb not in {"COMMIT", "ROLLBACK"}:
        raise _aborted()
    if words.peek() in _TRANSACTIONS:
        return _transaction(session, verb)
    if verb in _DML:
        return _change(session, verb, words, sql, params)
    if verb == "COPY":
        return command_copy.copy_into(session, sql)
    command = _command(session, sql, verb, words)
    handler = _HANDLERS.get((command.verb, command.kind)) or _HANDLERS.get((command.verb, ""))
    if verb in _DDL and not (verb == "ALTER" and command.kind == "SESSION"):
        session.commit()
        with session.account.ddl:
            result = handler(command) if handler else session.connection.run(sql, params)[0]
            session.account.changed()
            return result
    if handler:
        return handler(command)
    return _read(session, sql, params)


def _aborted() -> SqlError:
    # The service refuses these statements; its number and words for it are not confirmed.
    text = (
        "The current transaction was aborted by an earlier error (TRANSACTION_ABORT_ON_ERROR): roll it back."
    )
    return SqlError(90232, "25000", text)


def _transaction(session: Session, verb: str) -> Result:
    if verb == "BEGIN":
        if session.transaction is None:
            session.transaction = Transaction(session.account, session.duck)
    elif session.transaction and session.transaction.aborted and verb == "COMMIT":
        session.rollback()
        raise _aborted()
    elif verb == "COMMIT":
        session.commit()
    else:
        session.rollback()
    return status()


def _change(session: Session, verb: str, words: Words, sql: str, params: object) -> Result:
    words.take()
    words.accept("OVERWRITE")
    words.accept("INTO") or words.accept("FROM")
    target = session.connection.qualify(words.name(), verb)
    if not session.connection.has_table(*target):
        raise missing("Object", ".".join(target))
    session.need_warehouse()
    with session.writing() as transaction:
        if verb != "INSERT":
            session.lock(".".join(target), transaction.id)
        transaction.ready()
        result, written = session.connection.run(sql, params)
        transaction.wrote(*(Step(statement, values) for statement, values in written))
    return result


def _read(session: Session, sql: str, params: object) -> Result:
    if re.search(r"SYSTEM\$VALIDATE_STORAGE_INTEGRATION\s*\(", sql, re.IGNORECASE):
        return command_integration.validate(session, sql)
    if scan := re.search(r"\bRESULT_SCAN\s*\(\s*'([^']+)'", sql, re.IGNORECASE):
        if scan[1] not in session.account.results:
            raise SqlError(709, "02000", f"Statement {scan[1]} not found")
        return dataclasses.replace(session.account.results[scan[1]], type_id=SELECT)
    if session.transaction:
        session.transaction.ready()
    result = session.connection.run(sql, params)[0]
    if re.search(r"\bFROM\b", sql, re.IGNORECASE) and not re.search(
        r"\bINFORMATION_SCHEMA\b", sql, re.IGNORECASE
    ):
        session.need_warehouse()  # after compiling, as the service does: a missing table is told first
    return result


def _command(session: Session, sql: str, verb: str, words: Words) -> Command:
    words.take()
    replace = verb == "CREATE" and words.accept("OR", "REPLACE")
    if verb in {"LIST", "GRANT", "REVOKE"}:
        return Command(session, sql, verb, "", words, replace=False)
    while words.peek() in _MODIFIERS:
        words.take()
    kind = words.take().text if words.next else ""
    if kind in {"STORAGE", "SECURITY", "API", "NOTIFICATION"} and words.peek().startswith("INTEGRATION"):
        kind = words.take().text
    if kind == "FILE":
        kind = f"FILE {words.take().text}"
    if verb == "SHOW" and kind.endswith("S"):
        kind = kind.removesuffix("S")
    if verb == "USE" and kind not in {"ROLE", "WAREHOUSE", "DATABASE", "SCHEMA", "SECONDARY"}:
        words, kind = Words(lex(sql)), "SCHEMA" if "." in sql else "DATABASE"
        words.take()
    return Command(session, sql, verb, kind, words, replace=replace)
