"""The door to Snowflake: what goes through it, and what its complaints become."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector import errors

from core.errors import (
    LoadRefused,
    WarehouseError,
    WarehouseRefused,
    WarehouseUnavailable,
    is_transient,
)
from core.warehouse.refusals import LinesRefused
from core.warehouse.session import Answer, Session, session_parameters
from emulators.s3 import S3Emulator
from emulators.snowflake import Fault, SnowflakeEmulator
from tests.core.warehouses import Schema

SETTINGS = "SNOWFLAKE_DATABASE"


class Complaining:
    """A connection on which every statement ends in one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.closed = False

    def cursor(self) -> Any:
        raise self.error

    def close(self) -> None:
        self.closed = True
        raise self.error


def said_of(error: errors.Error, *, reads_files: bool = False) -> WarehouseError:
    """What becomes of a complaint about a statement."""
    connection: Any = Complaining(error)
    with Session(lambda: connection) as session, pytest.raises(WarehouseError) as raised:
        session.run("SELECT 1", attempt="load 3 hours", reads_files=reads_files)
    assert connection.closed
    return raised.value


def complaint(number: int, text: str, kind: type[errors.Error] = errors.ProgrammingError) -> errors.Error:
    return kind(msg=text, errno=number, sqlstate="42000")


PASSES = [
    complaint(625, "Statement 'x' has locked table 'LOAD_LOCK' and this lock has not yet been released."),
    complaint(625, "the number of waiters for this lock exceeds the 20 statements limit"),
    complaint(604, "SQL execution canceled"),
    complaint(250001, "Could not connect to Snowflake backend", errors.OperationalError),
    complaint(290503, "HTTP 503: Service Unavailable", errors.ServiceUnavailableError),
    complaint(290500, "HTTP 500: Internal Server Error", errors.InternalServerError),
    complaint(290502, "HTTP 502: Bad Gateway", errors.BadGatewayError),
    complaint(250002, "Connection is closed", errors.DatabaseError),
    complaint(390111, "Session no longer exists.  New login required to access the service."),
    complaint(390112, "Your session has expired.  Please login again.", errors.DatabaseError),
    complaint(390114, "Authentication token has expired.  The user must authenticate again."),
    errors.InterfaceError(msg="no answer"),
    errors.Error(),
]


@pytest.mark.parametrize("error", PASSES, ids=str)
@pytest.mark.parametrize("reads_files", [False, True])
def test_what_passes_is_transient_even_while_files_are_read(error: errors.Error, reads_files: bool) -> None:
    translated = said_of(error, reads_files=reads_files)
    assert type(translated) is WarehouseUnavailable
    assert is_transient(translated)
    assert "another attempt can help" in str(translated)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (complaint(2003, "Object 'LOAD_LOCK' does not exist or not authorized."), SETTINGS),
        (complaint(2043, "Object does not exist, or operation cannot be performed."), SETTINGS),
        (complaint(90105, "This session does not have a current database."), SETTINGS),
        (complaint(90106, "This session does not have a current schema."), SETTINGS),
        (complaint(606, "No active warehouse selected in the current session."), "SNOWFLAKE_WAREHOUSE"),
        (complaint(904, "invalid identifier 'GENERATION'"), "set-up was applied"),
        (complaint(3001, "Insufficient privileges to operate on table 'EVENTS_RAW'"), "grants"),
        (
            complaint(390100, "Incorrect username or password was specified.", errors.DatabaseError),
            "key pair",
        ),
        (complaint(390144, "JWT token is invalid.", errors.DatabaseError), "key pair"),
        (
            complaint(390189, "Role 'LOADER' specified in the connect string does not exist."),
            "SNOWFLAKE_ROLE",
        ),
        (
            complaint(250001, "Failed to connect: 390144 JWT token is invalid.", errors.DatabaseError),
            "key pair",
        ),
    ],
)
@pytest.mark.parametrize("reads_files", [False, True])
def test_what_somebody_must_act_on_is_permanent_and_says_how(
    error: errors.Error, remedy: str, reads_files: bool
) -> None:
    translated = said_of(error, reads_files=reads_files)
    assert type(translated) is WarehouseRefused
    assert not is_transient(translated)
    assert remedy in str(translated)


DATA = [
    complaint(100069, "Error parsing JSON: unfinished string File 'a.json', line 2, character 15"),
    complaint(91016, "Remote file 's3://lake/a.json' was not found."),
    complaint(100144, "Invalid UTF8 detected in string"),
    complaint(100072, "NULL result in a non-nullable column", errors.IntegrityError),
    complaint(100038, "Numeric value is not recognized", errors.DataError),
]


@pytest.mark.parametrize("error", DATA, ids=str)
def test_what_is_wrong_with_files_is_told_from_everything_else(error: errors.Error) -> None:
    assert isinstance(said_of(error, reads_files=True), LoadRefused)
    assert type(said_of(error)) is WarehouseRefused
    assert not is_transient(said_of(error, reads_files=True))


@pytest.mark.parametrize("line", [390000, 390123, 251006])
def test_a_line_s_number_is_no_number_of_an_error(line: int) -> None:
    text = f"Error parsing JSON: unfinished string\n  File 'a.json', line {line}, character 15"
    assert isinstance(said_of(complaint(100069, text), reads_files=True), LinesRefused)


def test_a_complaint_says_what_was_attempted_in_one_line_of_bounded_length() -> None:
    translated = said_of(complaint(100069, "bad line\n\n   File 'a'" + "x" * 5000), reads_files=True)
    assert str(translated).startswith("Could not load 3 hours: bad line File 'a'xxx")
    assert "\n" not in str(translated)
    assert len(str(translated)) < 500


@pytest.mark.parametrize("error", [*PASSES, *DATA], ids=str)
def test_errors_leave_nothing_of_the_connector_behind(error: errors.Error) -> None:
    translated = said_of(error)
    assert translated.__cause__ is None
    assert translated.__suppress_context__
    again = pickle.loads(pickle.dumps(translated))
    assert (type(again), again.args) == (type(translated), translated.args)


@pytest.mark.parametrize("error", [ValueError("hunter2"), TypeError("hunter2"), OSError("hunter2")])
def test_a_private_key_that_is_none_is_permanent_and_not_shown(error: Exception) -> None:
    def connect() -> Any:
        raise error

    with pytest.raises(WarehouseRefused, match="private key or settings cannot be used") as refused:
        Session(connect)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_every_session_sets_what_safety_stands_on() -> None:
    parameters = session_parameters("wise-owl")
    assert parameters["TRANSACTION_ABORT_ON_ERROR"] is True
    assert parameters["ABORT_DETACHED_QUERY"] is True
    assert parameters["TIMEZONE"] == "UTC"
    assert parameters["LOCK_TIMEOUT"] == 1800
    assert parameters["STATEMENT_TIMEOUT_IN_SECONDS"] > parameters["LOCK_TIMEOUT"]
    assert "wise-owl" in parameters["QUERY_TAG"]
    assert len(session_parameters("x" * 9000)["QUERY_TAG"]) <= 2000


# Over the wire


@pytest.mark.slow
def test_rows_come_with_their_names_in_lower_case(schema: Schema) -> None:
    with Session(schema.connect) as session:
        answer = session.run("SELECT 1 AS one, 'a' AS Two UNION ALL SELECT 2, NULL", attempt="ask")
    assert sorted(answer.rows, key=lambda row: int(row["one"])) == [
        {"one": 1, "two": "a"},
        {"one": 2, "two": None},
    ]


@pytest.mark.slow
def test_rows_that_were_changed_are_counted(schema: Schema) -> None:
    with Session(schema.connect) as session:
        change = "UPDATE load_lock SET generation = generation + 1 WHERE generation = %(generation)s"
        assert session.run(change, {"generation": 0}, attempt="change").affected == 1
        assert session.run(change, {"generation": 0}, attempt="change").affected == 0


@pytest.mark.slow
@pytest.mark.parametrize("value", ["it's", '"; DROP TABLE load_lock; --', "100%s", "a\\b", "ä\n", ""])
def test_values_are_bound_and_never_read_as_sql(schema: Schema, value: str) -> None:
    with Session(schema.connect) as session:
        assert session.run("SELECT %(value)s AS value", {"value": value}, attempt="ask") == Answer(
            [{"value": value}], 1
        )
        assert session.run("SELECT COUNT(*) AS n FROM load_lock", attempt="ask").rows == [{"n": 1}]


@pytest.mark.slow
def test_a_session_is_over_at_the_end_of_its_block_and_so_is_its_transaction(schema: Schema) -> None:
    with Session(schema.connect) as session:
        session.run("BEGIN", attempt="begin")
        session.run("UPDATE load_lock SET generation = 5", attempt="change")
    assert schema.generations() == (0, 0)
    assert schema.connections[0].is_closed()


@pytest.mark.slow
def test_a_session_that_ended_is_worth_another_attempt(schema: Schema) -> None:
    schema.emulator.faults.add(Fault("^SELECT 1", "kill_session"))
    with Session(schema.connect) as session, pytest.raises(WarehouseUnavailable) as raised:
        session.run("SELECT 1", attempt="ask")
    assert is_transient(raised.value)


@pytest.mark.slow
def test_an_unreachable_host_is_worth_another_attempt(schema: Schema) -> None:
    with pytest.raises(WarehouseUnavailable, match=r"Could not log in to Snowflake.*Check host") as raised:
        Session(lambda: schema.connect(port=9, login_timeout=1, network_timeout=1))
    assert is_transient(raised.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the connector's timer
def test_a_host_that_vanishes_amid_a_session_is_not_waited_for_without_end(s3: S3Emulator) -> None:
    """The connector's own default is to try for ever."""
    with SnowflakeEmulator(s3.url, s3.access_key, s3.secret_key) as emulator:
        session = Session(lambda: logged_in(emulator, network_timeout=1))
    with session, pytest.raises(WarehouseUnavailable) as raised:
        session.run("SELECT 1", attempt="ask")
    assert is_transient(raised.value)


@pytest.mark.slow
def test_a_copy_may_take_longer_than_the_network_may_be_away(s3: S3Emulator) -> None:
    """The connector's network_timeout cancels statements as well."""
    with SnowflakeEmulator(s3.url, s3.access_key, s3.secret_key, answer_within_seconds=0.5) as emulator:
        emulator.faults.add(Fault("^SELECT", "delay", seconds=2.5, times=2))
        with Session(lambda: logged_in(emulator, network_timeout=1)) as session:
            copied = session.run("SELECT 1 AS one", attempt="copy", reads_files=True)
            assert copied.rows == [{"one": 1}]
            with pytest.raises(WarehouseUnavailable, match="due to a timeout"):
                session.run("SELECT 2", attempt="ask")


def logged_in(emulator: SnowflakeEmulator, *, network_timeout: int) -> Any:
    import snowflake.connector

    return snowflake.connector.connect(
        account="emulator", user="loader", password="any", protocol=emulator.protocol,
        host=emulator.host, port=emulator.port, login_timeout=5, network_timeout=network_timeout,
    )  # fmt: skip


@pytest.mark.slow
def test_a_schema_that_is_not_there_is_named_by_its_setting(schema: Schema) -> None:
    with Session(lambda: schema.connect(schema="NOWHERE")) as session:
        with pytest.raises(WarehouseRefused, match="SNOWFLAKE_SCHEMA") as refused:
            session.run("SELECT * FROM load_lock", attempt="read the lock")
        assert not is_transient(refused.value)


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.slow
def test_only_the_key_pair_s_owner_is_let_in() -> None:
    ours, theirs = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    public = ours.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    import snowflake.connector

    with SnowflakeEmulator(user="LOADER", public_key=public.decode()) as emulator:

        def connect(key: bytes, user: str = "LOADER") -> Callable[[], Any]:
            return lambda: snowflake.connector.connect(
                account="emulator", user=user, private_key=key, protocol="http",
                host=emulator.host, port=emulator.port, login_timeout=3, network_timeout=3,
            )  # fmt: skip

        with Session(connect(pem(ours))) as session:
            assert session.run("SELECT 1 AS one", attempt="ask").rows == [{"one": 1}]
        for refused in (connect(pem(theirs)), connect(pem(ours), "SOMEBODY"), connect(b"rubbish")):
            with pytest.raises(WarehouseRefused, match="Could not log in to Snowflake") as raised:
                Session(refused)
            assert not is_transient(raised.value)
            assert "rubbish" not in str(raised.value)
