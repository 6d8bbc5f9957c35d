"""Storage integrations and stages: their life, their limits, and what they let one see.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-storage-integration,
https://docs.snowflake.com/en/user-guide/data-load-s3-config-storage-integration
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import DatabaseError

from tests.contract.warehouses import Warehouse, copy, fails_on_fakesnow, run


@contextmanager
def _integration(warehouse: Warehouse, connection: SnowflakeConnection) -> Iterator[str]:
    name = f"INTEGRATION_{warehouse.schema}"
    create = f"""
        CREATE STORAGE INTEGRATION {name} TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'S3' ENABLED = TRUE
        STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::123456789012:role/reader' STORAGE_AWS_EXTERNAL_ID = 'ours'
        STORAGE_ALLOWED_LOCATIONS = ('{warehouse.url}') STORAGE_BLOCKED_LOCATIONS = ('{warehouse.url}secret/')
    """
    run(connection, create)
    try:
        yield name
    finally:
        run(connection, f"DROP INTEGRATION IF EXISTS {name}")


@fails_on_fakesnow
def test_an_integration_tells_whom_the_role_must_trust(warehouse: Warehouse) -> None:
    """DESC INTEGRATION gives Snowflake's user and the external id, which may be ours.

    A second CREATE … IF NOT EXISTS changes nothing.

    https://docs.snowflake.com/en/sql-reference/sql/desc-integration
    """
    connection = warehouse.connect()
    with _integration(warehouse, connection) as name:
        found = {row[0]: row[2] for row in run(connection, f"DESC INTEGRATION {name}")}
        assert found["STORAGE_AWS_IAM_USER_ARN"].startswith("arn:aws:iam::")
        assert found["STORAGE_AWS_EXTERNAL_ID"] == "ours"
        run(
            connection,
            f"CREATE STORAGE INTEGRATION IF NOT EXISTS {name} TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'S3' "
            "ENABLED = TRUE STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::123456789012:role/other' "
            "STORAGE_ALLOWED_LOCATIONS = ('s3://elsewhere/')",
        )
        again = {row[0]: row[2] for row in run(connection, f"DESC INTEGRATION {name}")}
        assert again == found
        run(
            connection,
            f"ALTER STORAGE INTEGRATION {name} SET STORAGE_ALLOWED_LOCATIONS = ('s3://a/', 's3://b/')",
        )
        altered = {row[0]: row[2] for row in run(connection, f"DESC INTEGRATION {name}")}
        assert altered["STORAGE_ALLOWED_LOCATIONS"] == "s3://a/,s3://b/"
        assert [row[0] for row in run(connection, f"SHOW INTEGRATIONS LIKE '{name}'")] == [name]


@fails_on_fakesnow
def test_a_stage_outside_the_allowed_locations_is_refused(warehouse: Warehouse) -> None:
    """STORAGE_ALLOWED_LOCATIONS and STORAGE_BLOCKED_LOCATIONS bind every stage over the integration."""
    connection = warehouse.connect()
    with _integration(warehouse, connection) as name:
        for url in (f"s3://{warehouse.bucket}/elsewhere/", f"{warehouse.url}secret/deep/"):
            with pytest.raises(DatabaseError, match="not allowed by integration"):
                run(connection, f"CREATE STAGE s URL = '{url}' STORAGE_INTEGRATION = {name}")
        run(connection, f"CREATE STAGE s URL = '{warehouse.url}fine/' STORAGE_INTEGRATION = {name}")


@fails_on_fakesnow
def test_replacing_an_integration_breaks_its_stages(warehouse: Warehouse) -> None:
    """CREATE OR REPLACE cuts the link to every stage: never to be used for a change."""
    connection = warehouse.connect()
    with _integration(warehouse, connection) as name:
        run(connection, f"CREATE STAGE s URL = '{warehouse.url}' STORAGE_INTEGRATION = {name}")
        warehouse.lines("a.json")
        assert len(run(connection, "LIST @s")) == 1
        run(
            connection,
            f"CREATE OR REPLACE STORAGE INTEGRATION {name} TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'S3' "
            "ENABLED = TRUE STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::123456789012:role/reader' "
            f"STORAGE_ALLOWED_LOCATIONS = ('{warehouse.url}')",
        )
        with pytest.raises(DatabaseError):
            run(connection, "LIST @s")


@fails_on_fakesnow
def test_an_integration_that_is_missing_is_told_as_such(warehouse: Warehouse) -> None:
    """002003 (02000): does not exist or not authorized."""
    connection = warehouse.connect()
    with pytest.raises(DatabaseError, match="does not exist or not authorized") as caught:
        run(connection, "DESC INTEGRATION nobody_made_this")
    assert caught.value.errno == 2003


@fails_on_fakesnow
def test_list_shows_files_with_size_and_full_url(warehouse: Warehouse) -> None:
    """LIST gives name, size, md5 and last_modified; for an external stage the name is the URL.

    https://docs.snowflake.com/en/sql-reference/sql/list
    """
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.put("a/one.json", "{}\n")
    warehouse.put("b/two.json", "{}\n{}\n")
    assert [row[:2] for row in run(connection, "LIST @lake")] == [
        (f"{warehouse.url}a/one.json", 3), (f"{warehouse.url}b/two.json", 6)
    ]  # fmt: skip
    assert [row[0] for row in run(connection, "LIST @lake/b/")] == [f"{warehouse.url}b/two.json"]


@fails_on_fakesnow
def test_validation_reads_a_file_that_exists_and_cannot_write(warehouse: Warehouse) -> None:
    """Read needs an existing file; write and delete fail with a role that only reads.

    The integration's name is in upper case, for its case counts.

    https://docs.snowflake.com/en/sql-reference/functions/system_validate_storage_integration
    """
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("there.json")

    def status(file: str, action: str) -> str:
        select = "SELECT SYSTEM$VALIDATE_STORAGE_INTEGRATION(%(name)s, %(url)s, %(file)s, %(action)s)"
        named = {"name": warehouse.integration, "url": warehouse.url, "file": file, "action": action}
        return str(json.loads(run(connection, select, named)[0][0])["status"])

    assert status("there.json", "read") == "success"
    assert status("not-there.json", "read") == "failure"
    assert status("there.json", "list") == "success"
    for action in ("write", "delete", "all"):
        assert status("new.json", action) == "failure"


@fails_on_fakesnow
def test_stages_and_formats_said_again_change_nothing(warehouse: Warehouse) -> None:
    """IF NOT EXISTS answers that the object exists, and keeps it as it was.

    https://docs.snowflake.com/en/sql-reference/sql/create-stage
    """
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json")
    run(connection, "CREATE FILE FORMAT IF NOT EXISTS json_lines TYPE = JSON MULTI_LINE = FALSE")
    run(connection, "CREATE FILE FORMAT IF NOT EXISTS json_lines TYPE = JSON STRIP_NULL_VALUES = TRUE")
    found = {row[0]: row[2] for row in run(connection, "DESC FILE FORMAT json_lines")}
    assert (found["MULTI_LINE"], found["STRIP_NULL_VALUES"]) == ("false", "false")
    answer = run(connection, f"CREATE STAGE IF NOT EXISTS lake URL = 's3://{warehouse.bucket}/elsewhere/'")
    assert "already exists" in answer[0][0]
    copy(connection, "a.json", options="FILE_FORMAT = (FORMAT_NAME = json_lines)")
