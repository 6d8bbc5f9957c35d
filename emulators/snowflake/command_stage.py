"""Stages, and LIST.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-stage
"""

# ruff: noqa: EM101 - what the service says stands where it is said

import json
import re
from dataclasses import asdict

from emulators.snowflake.command import Command, Handler
from emulators.snowflake.command_format import need_schema, resolve_format
from emulators.snowflake.command_integration import find
from emulators.snowflake.copy_statement import stage_reference
from emulators.snowflake.errors import SqlError, already_exists, compilation_error, invalid_parameter, missing
from emulators.snowflake.lexer import Value, boolean_of, text_of
from emulators.snowflake.objects import Stage
from emulators.snowflake.patterns import matches
from emulators.snowflake.results import Result, rows_of, status
from emulators.snowflake.session import Session

_SETTINGS = {
    "URL", "STORAGE_INTEGRATION", "FILE_FORMAT", "COMMENT", "CREDENTIALS", "ENCRYPTION", "DIRECTORY",
    "ENDPOINT", "AWS_ACCESS_POINT_ARN", "USE_PRIVATELINK_ENDPOINT", "TAG",
}  # fmt: skip


def find_stage(session: Session, name: tuple[str, ...]) -> Stage:
    """A stage by name, whole and allowed: its integration is the one it was made with.

    Raises:
        SqlError: it is not there; its integration was dropped or replaced, or does not allow it.
    """
    full = session.connection.qualify(name, "operation")
    stage = session.account.objects.stages.get(full)
    if stage is None:
        raise missing("Stage", ".".join(full))
    if stage.integration:
        integration = session.account.objects.integrations.get(stage.integration)
        if integration is None or integration.serial != stage.integration_serial:
            # The service refuses; its number and words for it are not confirmed.
            text = f"Integration '{stage.integration}' associated with the stage '{full[2]}' cannot be found."
            raise compilation_error(text, 3155, "02000")
        integration.check(stage.url)
    return stage


def _create_stage(command: Command) -> Result:
    exists_ok = command.if_not_exists()
    session = command.session
    full = session.connection.qualify(command.words.name(), "CREATE STAGE")
    settings = dict(command.words.settings())
    command.words.end()
    need_schema(session, full)
    stages = session.account.objects.stages
    if full in stages and not command.replace:
        if exists_ok:
            return status(f"{full[2]} already exists, statement succeeded.")
        raise already_exists(full[2])
    stage = Stage(full)
    _set_stage(session, stage, settings)
    stages[full] = stage
    return status(f"Stage area {full[2]} successfully created.")


def _set_stage(session: Session, stage: Stage, settings: dict[str, Value]) -> None:
    if unknown := settings.keys() - _SETTINGS:
        raise invalid_parameter(min(unknown))
    boolean_of("USE_PRIVATELINK_ENDPOINT", settings.get("USE_PRIVATELINK_ENDPOINT"))
    stage.url = text_of(settings.get("URL"), stage.url)
    if stage.url and not stage.url.startswith("s3://"):
        raise SqlError(603, "XX000", f"only s3:// stages are emulated, not '{stage.url}'")
    if "STORAGE_INTEGRATION" in settings:
        integration = find(session, text_of(settings["STORAGE_INTEGRATION"]).upper())
        stage.integration, stage.integration_serial = integration.name, integration.serial
    if stage.integration:
        find(session, stage.integration).check(stage.url)
    stage.file_format = resolve_format(session, settings.get("FILE_FORMAT"), stage.file_format)
    stage.comment = text_of(settings.get("COMMENT"), stage.comment)


def _alter_stage(command: Command) -> Result:
    command.if_exists()
    full = command.session.connection.qualify(command.words.name(), "ALTER STAGE")
    if full not in command.session.account.objects.stages:
        raise missing("Stage", ".".join(full))
    command.words.expect("SET")
    _set_stage(command.session, command.session.account.objects.stages[full], dict(command.words.settings()))
    return status()


def _describe_stage(command: Command) -> Result:
    full = command.session.connection.qualify(command.words.name(), "DESCRIBE STAGE")
    stage = command.session.account.objects.stages.get(full)
    if stage is None:
        raise missing("Stage", ".".join(full))
    rows = [
        [
            "STAGE_FILE_FORMAT",
            key.upper(),
            "String",
            str(value).lower() if isinstance(value, bool) else value,
            "",
        ]
        for key, value in asdict(stage.file_format).items()
        if key != "text"
    ]
    for row in rows:
        row[1] = "TYPE" if row[1] == "KIND" else row[1]
    rows.append(["STAGE_LOCATION", "URL", "String", json.dumps([stage.url]), ""])
    rows.append(["STAGE_INTEGRATION", "STORAGE_INTEGRATION", "String", stage.integration, ""])
    columns = ["parent_property", "property", "property_type", "property_value", "property_default"]
    return rows_of(columns, rows)


def _show_stages(command: Command) -> Result:
    pattern = command.like()
    columns = ["created_on:timestamp_ltz", "name", "database_name", "schema_name", "url", "has_credentials"]
    columns += ["has_encryption_key", "owner", "comment", "region", "type", "cloud", "notification_channel"]
    columns += ["storage_integration"]
    rows = [
        [s.created_on, s.name[2], s.name[0], s.name[1], s.url, "N", "N", "ACCOUNTADMIN", s.comment,
         "us-east-1", "EXTERNAL" if s.url else "INTERNAL", "AWS" if s.url else None, None,
         s.integration or None]
        for s in command.session.account.objects.stages.values()
        if matches(pattern, s.name[2])
    ]  # fmt: skip
    return rows_of(columns, rows)


def _drop_stage(command: Command) -> Result:
    missing_ok = command.if_exists()
    full = command.session.connection.qualify(command.words.name(), "DROP STAGE")
    if command.session.account.objects.stages.pop(full, None) is None and not missing_ok:
        raise missing("Stage", ".".join(full))
    return status(f"{full[2]} successfully dropped.")


def _list(command: Command) -> Result:
    name, path = stage_reference(command.words, command.sql)
    pattern = command.words.take().text if command.words.accept("PATTERN", "=") else ""
    stage = find_stage(command.session, name)
    found = command.session.account.lake.list(stage.bucket, stage.prefix + path) if stage.url else []
    rows = [
        [file.url, file.size_bytes, file.etag, file.last_modified.strftime("%a, %d %b %Y %H:%M:%S GMT")]
        for file in found
        if not pattern or re.fullmatch(pattern, file.key)
    ]
    return rows_of(["name", "size:fixed", "md5", "last_modified"], rows)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("CREATE", "STAGE"): _create_stage,
    ("ALTER", "STAGE"): _alter_stage,
    ("DESCRIBE", "STAGE"): _describe_stage,
    ("SHOW", "STAGE"): _show_stages,
    ("DROP", "STAGE"): _drop_stage,
    ("LIST", ""): _list,
}
