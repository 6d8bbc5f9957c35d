"""What Snowflake has to hold before the first hour can be loaded, as statements in order.

Pure: names in, SQL out. Every statement is safe to repeat; none replaces or drops anything, least of
all the integration (to replace it would break every stage that stands on it).

Source: https://docs.snowflake.com/en/user-guide/data-load-s3-config-storage-integration
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from core.errors import InvalidInput
from core.warehouse import statements

STAGE = "amplitude_lake"
FILE_FORMAT = "amplitude_json"
LINE_FORMAT = "amplitude_lines"

#: What the loader does with each table: MERGE, DELETE, UPDATE and COPY, and never a change of the tables.
_TABLE_RIGHTS = {
    "events_raw": "SELECT, INSERT, DELETE",
    "events_rejected": "SELECT, INSERT, UPDATE, DELETE",
    "load_ledger": "SELECT, INSERT, UPDATE",
    "load_lock": "SELECT, UPDATE",
}
_VIEWS = ("events", "events_unique")

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,254}", re.ASCII)
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_STAGE_URL = re.compile(r"s3(gov|china)?://[a-z0-9][a-z0-9.-]+/([A-Za-z0-9!_.()=+@:,-]+/)*")


@dataclass(frozen=True, slots=True)
class WarehouseNames:
    """What the objects are called, and where the lake is.

    Identifiers are written without quotes, so Snowflake reads them in upper case. Only letters,
    digits, ``_`` and ``$`` are taken: a name that needs quotes is refused, never quoted.

    Args:
        role: The loader's.
        integration: One per lake; integrations belong to the account, not to a schema.
        role_arn: The AWS role that Snowflake takes to read the lake.
        external_id: Ours; :func:`external_id_for` makes one that stays the same.
        stage_url: ``s3://bucket/prefix/``, with its last slash.
        user: Who is given the role; None for nobody.
        reader_role: Of those who query the views; it must be there. None for nobody.

    Raises:
        InvalidInput: A name that could not stand unquoted, or a value that cannot be. Permanent.
    """

    database: str
    schema: str
    warehouse: str
    role: str
    integration: str
    role_arn: str
    external_id: str
    stage_url: str
    user: str | None = None
    reader_role: str | None = None

    def __post_init__(self) -> None:
        for what in ("database", "schema", "warehouse", "role", "integration", "user", "reader_role"):
            name = getattr(self, what)
            if name is not None and not _IDENTIFIER.fullmatch(name):
                rule = "Use letters, digits and _, no digit first"
                msg = f"Not a name for the {what.replace('_', ' ')}: {name[:80]!r}. {rule}."
                raise InvalidInput(msg)
        for what, pattern in (
            ("role_arn", _ROLE_ARN),
            ("external_id", _EXTERNAL_ID),
            ("stage_url", _STAGE_URL),
        ):
            value = getattr(self, what)
            if not pattern.fullmatch(value):
                msg = f"Not a value for {what.replace('_', ' ')}: {value[:80]!r}."
                raise InvalidInput(msg)

    @property
    def qualified_schema(self) -> str:
        """``database.schema``."""
        return f"{self.database}.{self.schema}"


def external_id_for(bucket: str, prefix: str) -> str:
    """An external id for a lake, the same every time, so that either side can be set up first.

    It is no secret: it keeps Snowflake from being talked into reading this lake for somebody else.
    """
    return f"amplitude_lake_{hashlib.sha256(f'{bucket}/{prefix}'.encode()).hexdigest()[:24]}"


def account_statements(names: WarehouseNames) -> list[str]:
    """Role, warehouse, database, schema and integration. As ACCOUNTADMIN."""
    return [
        f"CREATE ROLE IF NOT EXISTS {names.role}",
        f"GRANT ROLE {names.role} TO ROLE SYSADMIN",
        *([f"GRANT ROLE {names.role} TO USER {names.user}"] if names.user else []),
        (
            f"CREATE WAREHOUSE IF NOT EXISTS {names.warehouse}"
            " WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = 60 AUTO_RESUME = TRUE INITIALLY_SUSPENDED = TRUE"
        ),
        f"CREATE DATABASE IF NOT EXISTS {names.database}",
        f"CREATE SCHEMA IF NOT EXISTS {names.qualified_schema}",
        (
            f"CREATE STORAGE INTEGRATION IF NOT EXISTS {names.integration}"
            " TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'S3' ENABLED = TRUE"
            f" STORAGE_AWS_ROLE_ARN = '{names.role_arn}'"
            f" STORAGE_AWS_EXTERNAL_ID = '{names.external_id}'"
            f" STORAGE_ALLOWED_LOCATIONS = ('{names.stage_url}')"
        ),
    ]


def describe_statement(names: WarehouseNames) -> str:
    """What names Snowflake's side of the trust: STORAGE_AWS_IAM_USER_ARN and STORAGE_AWS_EXTERNAL_ID."""
    return f"DESC INTEGRATION {names.integration}"


def schema_statements(names: WarehouseNames) -> list[str]:
    """File formats, tables, views and stage.

    The warehouse is named because ``load_lock`` is created with its row, by a SELECT.
    """
    return [
        f"USE WAREHOUSE {names.warehouse}",
        f"USE SCHEMA {names.qualified_schema}",
        *statements.create_statements(),
        (
            f"CREATE STAGE IF NOT EXISTS {STAGE} STORAGE_INTEGRATION = {names.integration}"
            f" URL = '{names.stage_url}' FILE_FORMAT = (FORMAT_NAME = '{FILE_FORMAT}')"
        ),
    ]


def grant_statements(names: WarehouseNames) -> list[str]:
    """What the loader's role may do: load, read and count; create, alter or drop nothing."""
    schema = names.qualified_schema
    return [
        f"GRANT USAGE ON WAREHOUSE {names.warehouse} TO ROLE {names.role}",
        f"GRANT USAGE ON DATABASE {names.database} TO ROLE {names.role}",
        f"GRANT USAGE ON SCHEMA {schema} TO ROLE {names.role}",
        f"GRANT USAGE ON INTEGRATION {names.integration} TO ROLE {names.role}",
        f"GRANT USAGE ON FILE FORMAT {schema}.{FILE_FORMAT} TO ROLE {names.role}",
        f"GRANT USAGE ON FILE FORMAT {schema}.{LINE_FORMAT} TO ROLE {names.role}",
        f"GRANT USAGE ON STAGE {schema}.{STAGE} TO ROLE {names.role}",
        *(
            f"GRANT {rights} ON TABLE {schema}.{table} TO ROLE {names.role}"
            for table, rights in _TABLE_RIGHTS.items()
        ),
        *(f"GRANT SELECT ON VIEW {schema}.{view} TO ROLE {names.role}" for view in _VIEWS),
    ]


def reader_statements(names: WarehouseNames) -> list[str]:
    """What those who query may do: see the views. None if nobody is named; their warehouse is theirs."""
    role, schema = names.reader_role, names.qualified_schema
    if role is None:
        return []
    return [
        f"GRANT USAGE ON DATABASE {names.database} TO ROLE {role}",
        f"GRANT USAGE ON SCHEMA {schema} TO ROLE {role}",
        *(f"GRANT SELECT ON VIEW {schema}.{view} TO ROLE {role}" for view in _VIEWS),
    ]


def setup_statements(names: WarehouseNames) -> list[str]:
    """Everything, in order. Between the first part and the last, the AWS role's trust is set."""
    return [
        *account_statements(names),
        *schema_statements(names),
        *grant_statements(names),
        *reader_statements(names),
    ]


def validation_statement(names: WarehouseNames, file: str, action: str) -> str:
    """Ask Snowflake to try the integration: ``read`` an existing file of the lake, or ``list``.

    Args:
        file: Below the stage's URL.

    Raises:
        InvalidInput: Another action, or a file whose name could end the string. Permanent.

    Source: https://docs.snowflake.com/en/sql-reference/functions/system_validate_storage_integration
    """
    if action not in {"read", "list"} or not re.fullmatch(r"[\w=./-]*", file, re.ASCII):
        msg = (
            f"An integration is validated with read or list of a file, not {action[:20]!r} of {file[:80]!r}."
        )
        raise InvalidInput(msg)
    name = names.integration.upper()
    return f"SELECT SYSTEM$VALIDATE_STORAGE_INTEGRATION('{name}', '{names.stage_url}', '{file}', '{action}')"
