"""What the Snowflake in memory does, where the real one surprises."""

from __future__ import annotations

from typing import Any

import pytest
from snowflake.connector import errors

from core.warehouse import statements
from tests.campaigns.model_lake import Bucket
from tests.campaigns.model_snowflake import Account, ServerSession
from tests.campaigns.model_statements import COPY_WITHOUT_FORCE

KEY = "events/date=2025-12-23/hour=19/1_2025-12-23_19_0-00000000.json"
FILES = {"files": [KEY]}
HOURS = {"hours": ["2025-12-23 19:00:00"]}
OURS: dict[str, Any] = {"lake": "s3://lake/", "app_id": 1}


@pytest.fixture
def account() -> Account:
    bucket = Bucket()
    bucket.put(KEY, b'{"uuid":"a"}\n{"uuid":"b"}\n')
    return Account(bucket, lambda before, after, transaction: None)


def session_of(account: Account) -> ServerSession:
    return ServerSession(account, "s3://lake/", lambda: True)


def loaded(session: ServerSession, text: str = statements.COPY_PARTS) -> list[tuple[Any, ...]]:
    return [row[1:] for row in session.run(text, FILES).rows]


def events(session: ServerSession) -> list[str]:
    return sorted(row.event for row in session.view.rows.values())


def test_what_was_loaded_is_skipped_without_force_and_delete_does_not_change_that(account: Account) -> None:
    session = session_of(account)
    assert loaded(session, COPY_WITHOUT_FORCE) == [("LOADED", 2)]
    session.run(statements.DELETE_HOURS, HOURS)
    assert loaded(session, COPY_WITHOUT_FORCE) == [("LOAD_SKIPPED", 0)]
    assert loaded(session) == [("LOADED", 2)]
    assert events(session) == ["a", "b"]


def test_what_a_rollback_undoes_is_not_remembered_as_loaded(account: Account) -> None:
    session = session_of(account)
    loaded(session)
    session.run(statements.ROLLBACK, {})
    assert events(session) == []
    assert loaded(session, COPY_WITHOUT_FORCE) == [("LOADED", 2)]


def test_two_sessions_without_a_lock_load_everything_twice(account: Account) -> None:
    first, second = session_of(account), session_of(account)
    for session in (first, second):
        session.run(statements.DELETE_HOURS, HOURS)
    for session in (first, second):
        loaded(session)
        session.run(statements.COMMIT, {})
    assert events(session_of(account)) == ["a", "a", "b", "b"]


def test_a_commit_can_stay_hidden_from_a_session_that_was_open_and_from_no_later_one(
    account: Account,
) -> None:
    before, writer = session_of(account), session_of(account)
    account.hides = True
    loaded(writer)
    writer.run(statements.COMMIT, {})
    assert (events(before), events(writer), events(session_of(account))) == ([], ["a", "b"], ["a", "b"])
    before.run(statements.DELETE_HOURS, HOURS)
    loaded(before)
    before.run(statements.COMMIT, {})
    assert events(session_of(account)) == ["a", "a", "b", "b"]


def test_the_lock_is_held_until_a_dead_session_is_ended(account: Account) -> None:
    session = session_of(account)
    session.run(statements.TAKE_LOCK, OURS)
    held = [account.holder is session]
    account.end_dead_sessions()
    held.append(account.holder is session)
    assert held == [True, False]
    assert account.tables.lock.generation == 0


def test_another_lake_s_lock_is_not_taken(account: Account) -> None:
    session = session_of(account)
    session.run(statements.TAKE_LOCK, OURS)
    session.run(statements.COMMIT, {})
    other = session_of(account)
    assert other.run(statements.TAKE_LOCK, {"lake": "s3://other/", "app_id": 1}).affected == 0
    assert account.holder is None


def test_a_missing_file_undoes_the_transaction(account: Account) -> None:
    session = session_of(account)
    loaded(session)
    with pytest.raises(errors.ProgrammingError):
        session.run(statements.COPY_PARTS, {"files": ["events/none"]})
    assert events(session) == []


def test_a_statement_that_is_not_the_loader_s_is_an_error(account: Account) -> None:
    with pytest.raises(KeyError):
        session_of(account).run("SELECT 1", {})
