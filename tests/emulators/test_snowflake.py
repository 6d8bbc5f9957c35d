"""The Snowflake emulator as clients meet it: login, sessions, faults, and what it is asked in-process."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import DatabaseError, Error

from emulators.snowflake import Fault, SnowflakeEmulator

pytestmark = pytest.mark.slow
_CONNECTIONS: list[SnowflakeConnection] = []


@pytest.fixture(scope="module")
def shared() -> Iterator[SnowflakeEmulator]:
    with SnowflakeEmulator(dead_session_seconds=0.4, answer_within_seconds=0.3) as emulator:
        emulator.execute("CREATE DATABASE house")
        yield emulator


@pytest.fixture
def emulator(shared: SnowflakeEmulator) -> Iterator[SnowflakeEmulator]:
    shared.execute("CREATE OR REPLACE SCHEMA house.room")
    shared.execute("CREATE TABLE house.room.t (n NUMBER(38, 0))")
    shared.statements.clear()
    yield shared
    shared.faults.clear()
    while _CONNECTIONS:
        _CONNECTIONS.pop().close()
    shared.kill_sessions()


def _connect(emulator: SnowflakeEmulator, **settings: Any) -> SnowflakeConnection:
    login = {"user": "loader", "password": "any", "account": "house", "database": "house", "schema": "room"}
    place = {"host": emulator.host, "port": emulator.port, "protocol": emulator.protocol}
    _CONNECTIONS.append(snowflake.connector.connect(**{**login, **place, **settings}))
    return _CONNECTIONS[-1]


def _run(connection: SnowflakeConnection, sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def _count(emulator: SnowflakeEmulator) -> int:
    return int(_run(_connect(emulator), "SELECT COUNT(*) FROM t")[0][0])


def test_login_makes_nothing_and_statements_then_say_what_is_missing(emulator: SnowflakeEmulator) -> None:
    with _connect(emulator, database="nowhere", schema="nothing") as connection:
        assert _run(connection, "SELECT CURRENT_DATABASE(), CURRENT_SCHEMA()") == [(None, None)]
        with pytest.raises(DatabaseError, match="does not have a current database") as caught:
            _run(connection, "SELECT * FROM t")
        assert caught.value.errno == 90105
        with pytest.raises(DatabaseError, match="does not exist") as caught:
            _run(connection, "USE DATABASE nowhere")
        assert caught.value.errno == 2043
    with _connect(emulator, schema="nothing") as connection, pytest.raises(DatabaseError) as caught:
        _run(connection, "INSERT INTO t VALUES (1)")
    assert caught.value.errno == 90106
    with _connect(emulator, warehouse="nowhere") as connection, pytest.raises(DatabaseError) as caught:
        _run(connection, "SELECT * FROM t")
    assert caught.value.errno == 606
    with pytest.raises(DatabaseError, match="Role 'STRANGER'") as caught:
        _connect(emulator, role="stranger")
    assert "390189" in str(caught.value)


def _key_pair() -> tuple[bytes, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public.decode()


def test_a_key_pair_lets_its_user_in_and_nobody_else() -> None:
    private, public = _key_pair()
    stranger, _ = _key_pair()
    with SnowflakeEmulator(user="loader", public_key=public) as emulator:
        jwt = {"authenticator": "SNOWFLAKE_JWT", "password": None, "login_timeout": 3}
        with _connect(emulator, private_key=private, **jwt) as connection:
            assert _run(connection, "SELECT CURRENT_USER()") == [("LOADER",)]
        for wrong in ({"private_key": stranger}, {"private_key": private, "user": "somebody"}):
            with pytest.raises(DatabaseError, match="JWT token is invalid"):
                _connect(emulator, **jwt | wrong)
        with pytest.raises(DatabaseError, match="Incorrect username or password"):
            _connect(emulator)


def test_two_emulators_share_nothing(emulator: SnowflakeEmulator) -> None:
    with SnowflakeEmulator() as other:
        assert other.port != emulator.port
        assert _run(_connect(emulator), "SELECT * FROM house.room.t") == []
        with _connect(other) as connection, pytest.raises(DatabaseError, match="does not exist"):
            _run(connection, "SELECT * FROM house.room.t")


def test_what_is_not_understood_is_a_sql_error_at_once(emulator: SnowflakeEmulator) -> None:
    started = time.monotonic()
    with _connect(emulator) as connection, pytest.raises(DatabaseError):
        _run(connection, "CREATE NETWORK POLICY p ALLOWED_IP_LIST = ('10.0.0.0/8')")
    assert time.monotonic() - started < 3


def test_statements_are_logged_with_their_session(emulator: SnowflakeEmulator) -> None:
    with _connect(emulator) as first, _connect(emulator) as second:
        _run(first, "SELECT 1")
        _run(second, "SELECT 2")
    assert [one.sql for one in emulator.statements] == ["SELECT 1", "SELECT 2"]
    assert len({one.session for one in emulator.statements}) == 2


def test_a_planned_error_strikes_the_nth_statement_only(emulator: SnowflakeEmulator) -> None:
    emulator.faults.add(
        Fault("INSERT INTO t", nth=2, errno=604, sqlstate="57014", message="SQL execution canceled")
    )
    with _connect(emulator) as connection:
        _run(connection, "INSERT INTO t VALUES (1)")
        with pytest.raises(DatabaseError, match="canceled") as caught:
            _run(connection, "INSERT INTO t VALUES (2)")
        assert caught.value.errno == 604
        _run(connection, "INSERT INTO t VALUES (3)")
    assert _count(emulator) == 2


@pytest.mark.parametrize(("carried_on", "arrivals"), [(True, 1), (False, 2)])
def test_a_held_statement_waits_for_its_gate(
    emulator: SnowflakeEmulator, carried_on: bool, arrivals: int
) -> None:
    held = Fault("INSERT INTO t", "hold")
    emulator.faults.add(held)
    connection = _connect(emulator)
    with ThreadPoolExecutor() as pool:
        insert = pool.submit(_run, connection, "INSERT INTO t VALUES (1)")
        assert held.gate.reached(10)
        assert _count(emulator) == 0
        held.gate.let_go(on=carried_on)
        insert.result()  # a dropped one is sent again by the connector: the session lives on
    assert _count(emulator) == 1
    assert len([one for one in emulator.statements if "INSERT" in one.sql]) == arrivals


def test_the_answer_to_a_commit_can_be_held(emulator: SnowflakeEmulator) -> None:
    held = Fault("^COMMIT", "hold_answer")
    emulator.faults.add(held)
    connection = _connect(emulator)
    for sql in ("BEGIN", "INSERT INTO t VALUES (1)"):
        _run(connection, sql)
    with ThreadPoolExecutor() as pool:
        commit = pool.submit(_run, connection, "COMMIT")
        assert held.gate.reached(10)
        assert _count(emulator) == 1
        assert not commit.done()
        held.gate.let_go()
        commit.result()


def test_a_killed_session_has_rolled_back(emulator: SnowflakeEmulator) -> None:
    emulator.faults.add(Fault("SELECT 'now'", "kill_session"))
    connection = _connect(emulator)
    _run(connection, "BEGIN")
    _run(connection, "INSERT INTO t VALUES (1)")
    with pytest.raises(Error):
        _run(connection, "SELECT 'now'")
    assert _count(emulator) == 0


@pytest.mark.parametrize(("fault", "rows"), [("lose_answer", 1), ("lose_request", 0)])
def test_a_commit_whose_answer_is_lost_is_done_or_not(
    emulator: SnowflakeEmulator, fault: Any, rows: int
) -> None:
    emulator.faults.add(Fault("^COMMIT", fault))
    connection = _connect(emulator)
    _run(connection, "BEGIN")
    _run(connection, "INSERT INTO t VALUES (1)")
    started = time.monotonic()
    with pytest.raises(Error):
        _run(connection, "COMMIT")
    assert time.monotonic() - started < 10
    assert _count(emulator) == rows


def test_too_many_waiters_can_be_planned(emulator: SnowflakeEmulator) -> None:
    emulator.faults.add(Fault("^UPDATE", "too_many_waiters"))
    with _connect(emulator) as connection, pytest.raises(DatabaseError, match="exceeds the 20") as caught:
        _run(connection, "UPDATE t SET n = 1")
    assert caught.value.errno == 625


def test_a_silent_session_that_blocks_another_is_ended(emulator: SnowflakeEmulator) -> None:
    silent, other = _connect(emulator), _connect(emulator, session_parameters={"LOCK_TIMEOUT": 20})
    _run(other, "INSERT INTO t VALUES (1)")
    _run(silent, "BEGIN")
    _run(silent, "UPDATE t SET n = 100")
    _run(other, "UPDATE t SET n = n + 1")
    assert _run(other, "SELECT n FROM t") == [(2,)]
    with pytest.raises(Error, match="Session no longer exists"):
        _run(silent, "COMMIT")


def test_a_slow_statement_is_answered_when_it_is_done(emulator: SnowflakeEmulator) -> None:
    emulator.faults.add(Fault("SELECT 42", "delay", seconds=1.0))
    with _connect(emulator) as connection:
        assert _run(connection, "SELECT 42") == [(42,)]
    assert len(emulator.statements) == 1


def test_a_statement_timeout_cancels(emulator: SnowflakeEmulator) -> None:
    with _connect(emulator, session_parameters={"STATEMENT_TIMEOUT_IN_SECONDS": 1}) as connection:
        emulator.faults.add(Fault("SELECT 43", "delay", seconds=30))
        with pytest.raises(DatabaseError, match="timeout of 1 second") as caught:
            _run(connection, "SELECT 43")
    assert caught.value.errno == 630


def test_a_query_can_run_while_the_client_does_something_else(emulator: SnowflakeEmulator) -> None:
    with _connect(emulator) as connection, connection.cursor() as cursor:
        cursor.execute_async("SELECT 7 AS seven")
        cursor.get_results_from_sfqid(cursor.sfqid or "")
        assert cursor.fetchall() == [(7,)]


def test_grants_and_warehouses_are_remembered(emulator: SnowflakeEmulator) -> None:
    with _connect(emulator) as connection:
        _run(connection, "CREATE ROLE IF NOT EXISTS loader_role")
        _run(connection, "GRANT USAGE ON SCHEMA house.room TO ROLE loader_role")
        _run(connection, "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA house.room TO ROLE loader_role")
        _run(connection, "GRANT ROLE loader_role TO USER loader")
        found = {row[1] for row in _run(connection, "SHOW GRANTS TO ROLE loader_role")}
        assert found == {"USAGE", "SELECT", "INSERT"}
        _run(connection, "CREATE WAREHOUSE IF NOT EXISTS wh WITH WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = 60")
        assert _run(connection, "SELECT CURRENT_WAREHOUSE()") == [("WH",)]
        _run(connection, "USE ROLE loader_role")
        assert _run(connection, "SELECT CURRENT_ROLE()") == [("LOADER_ROLE",)]


def test_the_projects_own_credentials_block_connects(emulator: SnowflakeEmulator, tmp_path: Path) -> None:
    from prefect_snowflake import SnowflakeCredentials

    credentials = SnowflakeCredentials(account="house", user="loader", password="any")
    client = credentials.get_client(
        host=emulator.host, port=emulator.port, protocol=emulator.protocol, database="house", schema="room"
    )
    with client as connection:
        assert _run(connection, "SELECT COUNT(*) FROM t") == [(0,)]
