"""The door to Snowflake: one session of the connector, whose errors never show outside of it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from snowflake.connector import errors as connector_errors

from core.errors import WarehouseError, WarehouseRefused, WarehouseUnavailable
from core.warehouse.refusals import refusal

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

Connect = Callable[[], "SnowflakeConnection"]

#: Longer than the longest COPY and the five idle minutes after which Snowflake ends the
#: transaction of a session that died, if it blocks another.
#: Source: https://docs.snowflake.com/en/sql-reference/transactions
LOCK_TIMEOUT_SECONDS = 1800
STATEMENT_TIMEOUT_SECONDS = 4 * 3600

#: How long the connector asks a service that does not answer; its own default is for ever. It cancels a
#: statement that takes longer, too: so it is longer than any waits for a lock, and a COPY has its own.
NETWORK_TIMEOUT_SECONDS = LOCK_TIMEOUT_SECONDS + 300

_SHOWN_CHARACTERS = 400
_LOCKED = {604, 625}  # cancelled while it waited; lock timeout, or too many waiters
_NOT_THERE = {2003, 2043, 90105, 90106, 90107, 606, 904, 2001, 2140}
_NO_RIGHT = {3001, 3041}
_STAGE_REFUSED = {91003}  # the integration's role may not read the lake
_LOGIN_REFUSED = {*range(390_000, 391_000), *range(251_005, 251_009)}
_INTERNAL_ERROR = 603
_CONNECTING, _REFUSED_IN_TEXT = 250_001, re.compile(r"\b390[0-9]{3}\b")  # then the reason is in the text
_SESSION_ENDED = {390104, 390111, 390112, 390114}  # killed, given up, or expired: a new one can help
_ABOUT_THE_STATEMENT = (
    connector_errors.ProgrammingError,
    connector_errors.IntegrityError,
    connector_errors.DataError,
    connector_errors.NotSupportedError,
)


def session_parameters(run: str) -> dict[str, Any]:
    """What every session of ours sets.

    Args:
        run: Name of the flow run, shown in Snowflake's query history.
    """
    return {
        "LOCK_TIMEOUT": LOCK_TIMEOUT_SECONDS,
        "TRANSACTION_ABORT_ON_ERROR": True,
        "AUTOCOMMIT": False,  # what runs after a transaction was ended from outside is undone, not kept
        "ABORT_DETACHED_QUERY": True,
        "STATEMENT_TIMEOUT_IN_SECONDS": STATEMENT_TIMEOUT_SECONDS,
        "QUERY_TAG": f"amplitude-to-snowflake {run}"[:2000],
        "TIMEZONE": "UTC",
        # An account may have set these to something else: dates would be misread, answers cut short.
        "TIMESTAMP_INPUT_FORMAT": "AUTO",
        "ROWS_PER_RESULTSET": 0,
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement brought.

    Attributes:
        rows: Column names in lower case.
        affected: Rows inserted, updated or deleted.
    """

    rows: list[dict[str, Any]]
    affected: int


class Session:
    """One connection, used by one thread, closed at the end of the block.

    Raises:
        WarehouseUnavailable: Snowflake did not answer. Transient.
        WarehouseRefused: It does not let this user in. Permanent.
    """

    def __init__(self, connect: Connect) -> None:
        try:
            self._connection = connect()
        except connector_errors.Error as error:
            raise _translated(error, "log in to Snowflake") from None
        except (ConnectionError, TimeoutError) as error:
            msg = f"Could not log in to Snowflake ({type(error).__name__}). Check host, account and network."
            raise WarehouseUnavailable(msg) from None
        except (ValueError, TypeError, OSError) as error:  # mostly a private key that is none
            kind = type(error).__name__
            msg = f"Could not log in to Snowflake: private key or settings cannot be used ({kind})."
            raise WarehouseRefused(msg) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):  # the session is over either way
            self._connection.close()

    def run(
        self,
        statement: str,
        values: Mapping[str, Any] | None = None,
        *,
        attempt: str,
        reads_files: bool = False,
    ) -> Answer:
        """Run one statement to its end.

        Args:
            statement: With ``%(name)s`` where values go.
            attempt: What it is for, for messages: "load 24 hours".
            reads_files: Whether a complaint can be about the files it reads.

        Raises:
            WarehouseUnavailable: No answer, or the lock was not to be had. Transient.
            WarehouseRefused: Rights or objects are missing. Permanent.
            LoadRefused: It would not take the files; only if ``reads_files``. Permanent.
        """
        try:
            with self._connection.cursor() as cursor:
                limit = STATEMENT_TIMEOUT_SECONDS if reads_files else None
                cursor.execute(statement, dict(values) if values else None, timeout=limit)
                columns = [column.name.lower() for column in cursor.description or ()]
                rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()] if columns else []
                return Answer(rows, cursor.rowcount or 0)
        except connector_errors.Error as error:
            raise _translated(error, attempt, reads_files=reads_files) from None


def _translated(error: connector_errors.Error, attempt: str, *, reads_files: bool = False) -> WarehouseError:
    text = " ".join(str(error.raw_msg or error.msg or type(error).__name__).split())[:_SHOWN_CHARACTERS]
    number = error.errno or 0
    said = f"Could not {attempt}: {text}"
    if number in _LOCKED:
        return WarehouseUnavailable(f"{said} Another loader holds the lock; another attempt can help.")
    if number == _INTERNAL_ERROR:
        return WarehouseUnavailable(f"{said} That is Snowflake's own error; another attempt can help.")
    if number in _SESSION_ENDED:
        return WarehouseUnavailable(f"{said} The session has ended; another attempt can help.")
    if number in _LOGIN_REFUSED or (number == _CONNECTING and _REFUSED_IN_TEXT.search(text)):
        return WarehouseRefused(
            f"{said} Check SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER, SNOWFLAKE_ROLE and the key pair, "
            "and register the blocks anew."
        )
    if not isinstance(error, _ABOUT_THE_STATEMENT):
        return WarehouseUnavailable(f"{said} Check host, account and network; another attempt can help.")
    if number in _NOT_THERE:
        return WarehouseRefused(
            f"{said} Check SNOWFLAKE_DATABASE, SNOWFLAKE_SCHEMA and SNOWFLAKE_WAREHOUSE, "
            "and whether the set-up was applied."
        )
    if number in _STAGE_REFUSED:
        return WarehouseRefused(
            f"{said} Snowflake cannot read the lake: compare the integration's role, its trust and the "
            "KMS key with python -m infra policies."
        )
    if number in _NO_RIGHT:
        return WarehouseRefused(f"{said} The role lacks a right: apply the set-up's grants.")
    return refusal(number, said) if reads_files else WarehouseRefused(said)
