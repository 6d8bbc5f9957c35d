"""One project's pipeline: its settings, and the doors that it opens."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from prefect_aws.client_parameters import AwsClientParameters
from prefect_aws.credentials import AwsCredentials
from prefect_aws.s3 import S3Bucket
from prefect_snowflake.credentials import SnowflakeCredentials
from prefect_snowflake.database import SnowflakeConnector
from pydantic import SecretBytes, SecretStr, ValidationError

from blocks import AmplitudeCredentials, AmplitudePipeline
from blocks.environment import SnowflakeSettings
from blocks.register import _snowflake_credentials
from blocks.s3 import s3_client
from core.amplitude.archive import GIB, ArchiveLimits
from core.errors import InvalidInput, WarehouseRefused
from core.planning import PlanRules


def amplitude(**changes: Any) -> AmplitudeCredentials:
    return AmplitudeCredentials(
        api_key=SecretStr("api-key-1"), secret_key=SecretStr("secret-key-2"), **changes
    )


def bucket(*, endpoint: str | None = None, folder: str = "amplitude", secret: str = "secret-4") -> S3Bucket:
    credentials = AwsCredentials(
        aws_access_key_id="AKIA-3",
        aws_secret_access_key=SecretStr(secret),
        region_name="eu-west-1",
        aws_client_parameters=AwsClientParameters(endpoint_url=endpoint),
    )
    return S3Bucket(bucket_name="lake", credentials=credentials, bucket_folder=folder)


def connector(key: bytes = b"key-5") -> SnowflakeConnector:
    credentials = SnowflakeCredentials(
        account="org-account", user="LOADER", authenticator="snowflake_jwt", private_key=SecretBytes(key)
    )
    return SnowflakeConnector(
        credentials=credentials, database="ANALYTICS", schema="AMPLITUDE", warehouse="LOADING"
    )


def pipeline(**changes: Any) -> AmplitudePipeline:
    return AmplitudePipeline(**{"amplitude": amplitude(), "bucket": bucket(), **changes})


class TestAmplitudePipeline(BlockStandardTestSuite):
    @pytest.fixture
    def block(self) -> type[Block]:
        return AmplitudePipeline

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """There is none: the suite's own test would fetch it from the internet."""
        assert block.get_block_type_slug() == "amplitude-pipeline"
        assert block._logo_url is None


# Settings


def test_the_defaults_are_those_of_planning() -> None:
    assert pipeline().rules == PlanRules()


def test_every_rule_of_planning_can_be_set() -> None:
    tuned: dict[str, Any] = {
        "initial_days": 3,
        "lookback_hours": 5,
        "max_hours_per_run": 7,
        "window_hours": 11,
        "settle_hours": 13,
        "empty_after_hours": 17,
        "verify_days": 19,
    }
    assert pipeline(**tuned).rules == PlanRules(**tuned)
    assert tuned.keys() == {field.name for field in fields(PlanRules)}


def test_the_default_limits_are_those_of_archives() -> None:
    assert pipeline().archive_limits == ArchiveLimits()


def test_every_limit_of_an_archive_can_be_set() -> None:
    tuned = pipeline(
        max_archive_members=3,
        max_archive_gib=5,
        max_member_json_gib=7,
        max_hour_json_gib=11,
        max_gzip_ratio=13,
    )
    assert tuned.archive_limits == ArchiveLimits(
        max_members=3,
        max_archive_gzip_bytes=5 * GIB,
        max_member_json_bytes=7 * GIB,
        max_hour_json_bytes=11 * GIB,
        max_ratio=13,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"initial_days": 0},
        {"window_hours": 0},
        {"window_hours": 8761},
        {"max_hours_per_run": 0},
        {"lookback_hours": -1},
        {"settle_hours": -1},
        {"verify_days": -1},
        {"max_archive_members": 0},
        {"max_archive_gib": 0},
        {"max_member_json_gib": 0},
        {"max_hour_json_gib": 0},
        {"max_gzip_ratio": 9},
        {"empty_after_hours": 2},
        {"archives_in_flight": 0},
        {"uploads_at_once": 65},
        {"retry_seconds": -1},
        {"retry_seconds": float("nan")},
        {"compression": "zip"},
        {"snowflake_port": 0},
        {"snowflake_protocol": "ftp"},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        pipeline(**wrong)
    assert [problem["loc"] for problem in raised.value.errors()] == [tuple(wrong)]


def test_a_scratch_folder_that_was_blanked_is_the_systems() -> None:
    assert pipeline(scratch_folder=Path("/scratch")).scratch_folder == Path("/scratch")
    assert pipeline(scratch_folder="").scratch_folder is None


def test_its_secrets_are_not_shown() -> None:
    block = pipeline(warehouse=connector())
    shown = f"{block!r} {block} {block.model_dump()}"
    for secret in ("api-key-1", "secret-key-2", "secret-4", "key-5"):
        assert secret not in shown


def test_its_schema_is_made_once_and_cannot_be_spoiled() -> None:
    first = AmplitudePipeline.model_json_schema()
    first["properties"].clear()
    assert AmplitudePipeline.model_json_schema() == Block.model_json_schema.__func__(AmplitudePipeline)  # type: ignore[attr-defined]


# The lake


@pytest.mark.parametrize(
    ("folder", "url"),
    [
        ("", "s3://lake/"),
        ("amplitude", "s3://lake/amplitude/"),
        ("/events/amplitude/", "s3://lake/events/amplitude/"),
    ],
)
def test_the_bucket_folder_is_where_the_lake_begins(folder: str, url: str) -> None:
    assert pipeline(bucket=bucket(folder=folder)).open_lake().url == url


@pytest.mark.parametrize("signed", [False, True])
def test_the_lake_is_reached_over_a_client_that_tasks_of_one_process_share(signed: bool) -> None:
    lakes = [pipeline(signed_payloads=signed, window_hours=hours).open_lake() for hours in (1, 2)]
    shared = s3_client(bucket().credentials, signed)
    assert {id(lake._objects._s3) for lake in lakes} == {id(shared)}


# The warehouse


def test_without_a_warehouse_there_is_none_to_open() -> None:
    with pytest.raises(InvalidInput, match="ends at the lake"):
        pipeline().open_warehouse(app_id=1, run="run")


@pytest.mark.parametrize(
    "elsewhere",
    [
        {},
        {"host": "127.0.0.1"},
        {"port": 8443},
        {"protocol": "http"},
        {"host": "127.0.0.1", "port": 80, "protocol": "http"},
    ],
)
def test_the_connector_is_told_another_endpoint_only_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, elsewhere: dict[str, Any]
) -> None:
    told: list[dict[str, Any]] = []

    def get_client(self: SnowflakeCredentials, **arguments: Any) -> None:
        told.append(arguments)
        raise WarehouseRefused

    monkeypatch.setattr(SnowflakeCredentials, "get_client", get_client)
    settings = {f"snowflake_{name}": value for name, value in elsewhere.items()}
    warehouse = pipeline(warehouse=connector(), **settings).open_warehouse(app_id=1, run="run-7")
    assert told == []  # nobody logs in before there is something to ask

    with pytest.raises(WarehouseRefused):
        warehouse.ledger()

    (arguments,) = told
    assert {name: arguments.get(name) for name in ("database", "warehouse", "schema")} == {
        "database": "ANALYTICS",
        "warehouse": "LOADING",
        "schema": "AMPLITUDE",
    }
    assert (arguments["login_timeout"], arguments["network_timeout"]) == (30, 2100)
    assert arguments["session_parameters"]["TIMEZONE"] == "UTC"
    assert "run-7" in arguments["session_parameters"]["QUERY_TAG"]
    assert {name: arguments[name] for name in ("host", "port", "protocol") if name in arguments} == elsewhere


def test_a_workload_identity_logs_in_without_a_key() -> None:
    names = {"account": "org-account", "user": "LOADER", "database": "D", "schema": "S", "warehouse": "W"}
    nothing = dict.fromkeys(("role", "private_key", "private_key_passphrase", "host", "port", "protocol"))
    settings = SnowflakeSettings(**names, **nothing, workload_identity_provider="aws")  # type: ignore[arg-type]
    credentials = _snowflake_credentials(settings)
    assert credentials.authenticator == "workload_identity"
    assert (credentials.workload_identity_provider, credentials.private_key) == ("aws", None)


def test_a_key_that_was_spoiled_in_its_block_is_told_with_the_remedy() -> None:
    warehouse = pipeline(warehouse=connector(b"no PEM, key-5")).open_warehouse(app_id=1, run="run")
    with pytest.raises(WarehouseRefused, match="register the blocks anew") as raised:
        warehouse.ledger()
    assert "key-5" not in str(raised.value)
