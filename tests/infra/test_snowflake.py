"""The statements that set Snowflake up."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from core.errors import InvalidInput
from core.warehouse import statements
from infra.snowflake import (
    WarehouseNames,
    account_statements,
    external_id_for,
    grant_statements,
    reader_statements,
    schema_statements,
    setup_statements,
    validation_statement,
)

NAMES = WarehouseNames(
    database="ANALYTICS",
    schema="AMPLITUDE",
    warehouse="LOADING",
    role="LOADER",
    integration="Amplitude_Lake",
    role_arn="arn:aws:iam::123456789012:role/reader",
    external_id="ours",
    stage_url="s3://lake/amp/",
    user="LOADER_USER",
)


def position(text: str) -> int:
    (found,) = [at for at, statement in enumerate(setup_statements(NAMES)) if text in statement]
    return found


def test_what_others_stand_on_comes_first() -> None:
    order = [
        "CREATE ROLE",
        "CREATE WAREHOUSE",
        "CREATE DATABASE",
        "CREATE SCHEMA",
        "CREATE STORAGE INTEGRATION",
        "USE SCHEMA ANALYTICS.AMPLITUDE",
        "EXISTS amplitude_json",
        "EXISTS amplitude_lines",
        "CREATE STAGE",
        "GRANT USAGE ON STAGE",
    ]
    places = [position(text) for text in order]
    assert places == sorted(places)


def test_nothing_is_replaced_or_dropped() -> None:
    for statement in setup_statements(NAMES):
        bare = re.sub(r"--.*", "", statement).strip().upper()
        assert bare.startswith(("CREATE", "GRANT", "USE"))
        assert "OR REPLACE" not in bare
        assert not bare.startswith("CREATE") or " IF NOT EXISTS " in bare


def test_the_schema_s_own_statements_are_all_there() -> None:
    assert set(statements.create_statements()) <= set(schema_statements(NAMES))


def test_the_integration_reads_this_lake_and_has_our_external_id() -> None:
    integration = next(text for text in account_statements(NAMES) if "INTEGRATION" in text)
    assert "STORAGE_AWS_EXTERNAL_ID = 'ours'" in integration
    assert "STORAGE_ALLOWED_LOCATIONS = ('s3://lake/amp/')" in integration


def test_the_loader_may_do_what_a_load_does_and_nothing_else() -> None:
    """Held against the statements of a load by hand, for the emulator does not enforce privileges."""
    schema = "ANALYTICS.AMPLITUDE"
    assert grant_statements(NAMES) == [
        f"GRANT {rights} TO ROLE LOADER"
        for rights in (
            f"USAGE ON WAREHOUSE {NAMES.warehouse}",
            "USAGE ON DATABASE ANALYTICS",
            f"USAGE ON SCHEMA {schema}",
            f"USAGE ON INTEGRATION {NAMES.integration}",
            f"USAGE ON FILE FORMAT {schema}.amplitude_json",
            f"USAGE ON FILE FORMAT {schema}.amplitude_lines",
            f"USAGE ON STAGE {schema}.amplitude_lake",
            f"SELECT, INSERT, DELETE ON TABLE {schema}.events_raw",
            f"SELECT, INSERT, UPDATE, DELETE ON TABLE {schema}.events_rejected",
            f"SELECT, INSERT, UPDATE ON TABLE {schema}.load_ledger",
            f"SELECT, UPDATE ON TABLE {schema}.load_lock",
            f"SELECT ON VIEW {schema}.events",
            f"SELECT ON VIEW {schema}.events_unique",
        )
    ]


def test_every_table_and_view_is_granted() -> None:
    created = re.findall(r"(?:TABLE|VIEW) IF NOT EXISTS (\w+)", "\n".join(statements.create_statements()))
    granted = re.findall(r"ON (?:TABLE|VIEW) ANALYTICS\.AMPLITUDE\.(\w+)", "\n".join(grant_statements(NAMES)))
    assert sorted(granted) == sorted(created)


def test_readers_see_the_views_and_nothing_else_if_there_are_any() -> None:
    named = replace(NAMES, reader_role="ANALYST")
    assert reader_statements(named) == [
        "GRANT USAGE ON DATABASE ANALYTICS TO ROLE ANALYST",
        "GRANT USAGE ON SCHEMA ANALYTICS.AMPLITUDE TO ROLE ANALYST",
        "GRANT SELECT ON VIEW ANALYTICS.AMPLITUDE.events TO ROLE ANALYST",
        "GRANT SELECT ON VIEW ANALYTICS.AMPLITUDE.events_unique TO ROLE ANALYST",
    ]
    assert setup_statements(named) == [*setup_statements(NAMES), *reader_statements(named)]
    assert reader_statements(NAMES) == []


def test_the_role_is_given_to_a_user_if_there_is_one() -> None:
    assert "GRANT ROLE LOADER TO USER LOADER_USER" in account_statements(NAMES)
    assert not [text for text in account_statements(replace(NAMES, user=None)) if " TO USER " in text]


@pytest.mark.parametrize(
    "change",
    [
        {"database": "A; DROP DATABASE B"},
        {"schema": 'A"B'},
        {"warehouse": "1A"},
        {"role": ""},
        {"integration": "a.b"},
        {"user": "a@b"},
        {"reader_role": "a b"},
        {"role_arn": "arn:aws:iam::123456789012:user/x"},
        {"external_id": "it's"},
        {"stage_url": "s3://lake/amp"},
        {"stage_url": "s3://lake/a'b/"},
        {"stage_url": "https://lake/amp/"},
        {"database": "É"},
        {"database": "A\n"},
    ],
)
def test_names_that_would_need_quotes_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        replace(NAMES, **change)


def test_an_external_id_stays_the_same_for_a_lake_and_differs_between_lakes() -> None:
    assert external_id_for("lake", "amp") == external_id_for("lake", "amp")
    assert (
        len({external_id_for("lake", "amp"), external_id_for("lake", ""), external_id_for("pond", "amp")})
        == 3
    )


def test_the_integration_is_named_in_upper_case_when_it_is_validated() -> None:
    text = validation_statement(NAMES, "lake.json", "read")
    assert "('AMPLITUDE_LAKE', 's3://lake/amp/', 'lake.json', 'read')" in text
    for file, action in (("lake.json", "write"), ("a'b", "read")):
        with pytest.raises(InvalidInput):
            validation_statement(NAMES, file, action)
