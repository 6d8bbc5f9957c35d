"""Storage integrations, and the function that validates one.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-storage-integration,
https://docs.snowflake.com/en/sql-reference/functions/system_validate_storage_integration
"""

# ruff: noqa: EM101, EM102, TRY003 - what the service says stands where it is said

import json
import uuid

from emulators.snowflake.command import Command, Handler
from emulators.snowflake.errors import SqlError, already_exists, compilation_error, invalid_parameter, missing
from emulators.snowflake.lexer import Value, Words, boolean_of, lex, text_of
from emulators.snowflake.objects import IAM_USER_ARN, Integration
from emulators.snowflake.patterns import matches
from emulators.snowflake.results import Result, rows_of, status
from emulators.snowflake.session import Session

_KEYS = {
    "TYPE", "STORAGE_PROVIDER", "ENABLED", "STORAGE_AWS_ROLE_ARN", "STORAGE_AWS_EXTERNAL_ID", "COMMENT",
    "STORAGE_ALLOWED_LOCATIONS", "STORAGE_BLOCKED_LOCATIONS", "STORAGE_AWS_OBJECT_ACL",
    "USE_PRIVATELINK_ENDPOINT",
}  # fmt: skip


def _listed(value: Value | None) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def find(session: Session, name: str) -> Integration:
    """An integration by name."""
    if name not in session.account.objects.integrations:
        raise missing("Integration", name)
    return session.account.objects.integrations[name]


def _create(command: Command) -> Result:
    exists_ok = command.if_not_exists()
    name = command.words.name()[0]
    settings = dict(command.words.settings())
    if unknown := settings.keys() - _KEYS:
        raise invalid_parameter(min(unknown))
    objects = command.session.account.objects
    if name in objects.integrations and not command.replace:
        if exists_ok:
            return status(f"{name} already exists, statement succeeded.")
        raise already_exists(name)
    for key in ("TYPE", "STORAGE_PROVIDER", "ENABLED", "STORAGE_AWS_ROLE_ARN", "STORAGE_ALLOWED_LOCATIONS"):
        if key not in settings:
            raise compilation_error(f"Missing option(s): [{key}]", 2029, "42601")
    made_up = f"EMULATOR_SFCRole=2_{uuid.uuid4().hex[:27]}="
    external_id = text_of(settings.get("STORAGE_AWS_EXTERNAL_ID"), made_up)
    made = Integration(name, text_of(settings["STORAGE_AWS_ROLE_ARN"]), external_id)
    _set(made, settings)
    objects.integrations[name] = made
    return status(f"Integration {name} successfully created.")


def _set(integration: Integration, settings: dict[str, Value]) -> None:
    integration.role_arn = text_of(settings.get("STORAGE_AWS_ROLE_ARN"), integration.role_arn)
    integration.external_id = text_of(settings.get("STORAGE_AWS_EXTERNAL_ID"), integration.external_id)
    integration.comment = text_of(settings.get("COMMENT"), integration.comment)
    integration.enabled = boolean_of("ENABLED", settings.get("ENABLED"), default=integration.enabled)
    if "STORAGE_ALLOWED_LOCATIONS" in settings:
        integration.allowed = _listed(settings["STORAGE_ALLOWED_LOCATIONS"])
    if "STORAGE_BLOCKED_LOCATIONS" in settings:
        integration.blocked = _listed(settings["STORAGE_BLOCKED_LOCATIONS"])


def _alter(command: Command) -> Result:
    missing_ok = command.if_exists()
    name = command.words.name()[0]
    if missing_ok and name not in command.session.account.objects.integrations:
        return status()
    integration = find(command.session, name)
    if command.words.accept("UNSET"):
        while command.words.next is not None:
            match command.words.take().text:
                case "STORAGE_BLOCKED_LOCATIONS":
                    integration.blocked = []
                case "COMMENT":
                    integration.comment = ""
                case "ENABLED":
                    integration.enabled = False
            command.words.accept(",")
        return status()
    command.words.expect("SET")
    settings = dict(command.words.settings())
    if unknown := settings.keys() - _KEYS:
        raise invalid_parameter(min(unknown))
    _set(integration, settings)
    return status()


def _describe(command: Command) -> Result:
    one = find(command.session, command.words.name()[0])
    rows = [
        ["ENABLED", "Boolean", str(one.enabled).lower(), "false"],
        ["STORAGE_PROVIDER", "String", "S3", ""],
        ["STORAGE_ALLOWED_LOCATIONS", "List", ",".join(one.allowed), "[]"],
        ["STORAGE_BLOCKED_LOCATIONS", "List", ",".join(one.blocked), "[]"],
        ["STORAGE_AWS_IAM_USER_ARN", "String", IAM_USER_ARN, ""],
        ["STORAGE_AWS_ROLE_ARN", "String", one.role_arn, ""],
        ["STORAGE_AWS_EXTERNAL_ID", "String", one.external_id, ""],
        ["USE_PRIVATELINK_ENDPOINT", "Boolean", "false", "false"],
        ["COMMENT", "String", one.comment, ""],
    ]
    return rows_of(["property", "property_type", "property_value", "property_default"], rows)


def _drop(command: Command) -> Result:
    missing_ok = command.if_exists()
    name = command.words.name()[0]
    if name not in command.session.account.objects.integrations:
        if missing_ok:
            return status("Drop statement executed successfully (" + name + " already dropped).")
        raise missing("Integration", name)
    del command.session.account.objects.integrations[name]
    return status(f"{name} successfully dropped.")


def _show(command: Command) -> Result:
    pattern = command.like()
    found = command.session.account.objects.integrations
    rows = [
        [
            one.name,
            "EXTERNAL_STAGE",
            "STORAGE",
            "true" if one.enabled else "false",
            one.comment,
            one.created_on,
        ]
        for one in found.values()
        if matches(pattern, one.name)
    ]
    return rows_of(["name", "type", "category", "enabled", "comment", "created_on:timestamp_ltz"], rows)


def validate(session: Session, sql: str) -> Result:
    """SELECT SYSTEM$VALIDATE_STORAGE_INTEGRATION(name, location, file, action).

    Reading and listing are really tried. Writing and deleting fail, as they do for a role that may only read.
    The name's case counts, as on the service.
    """
    words = Words(lex(sql))
    words.expect("SELECT", "SYSTEM$VALIDATE_STORAGE_INTEGRATION", "(")
    arguments: list[str] = []
    while not words.accept(")"):
        arguments.append(words.take().text)
        words.accept(",")
    name, location, file, action = (*arguments, "", "", "", "")[:4]
    alias = words.take().text if words.accept("AS") else words.take().text if words.next else ""
    actions = {action.upper()} if action.lower() != "all" else {"READ", "LIST", "WRITE", "DELETE"}
    if not actions <= {"READ", "LIST", "WRITE", "DELETE"}:
        raise compilation_error(f"Invalid value '{action}' for validate_action", 1015, "22023")
    integration = find(session, name)
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    answers = {one: _try(session, integration, one, (bucket, prefix, file)) for one in sorted(actions)}
    good = all(answer["status"] == "success" for answer in answers.values())
    text = json.dumps({"status": "success" if good else "failure", "actions": answers})
    return rows_of([alias or "SYSTEM$VALIDATE_STORAGE_INTEGRATION"], [[text]])


def _try(
    session: Session, integration: Integration, action: str, place: tuple[str, str, str]
) -> dict[str, str]:
    bucket, prefix, file = place
    try:
        integration.check(f"s3://{bucket}/{prefix}")
        if action == "READ" and session.account.lake.find(bucket, _joined(prefix, file)) is None:
            return {"status": "failure", "message": "The specified key does not exist. (Status Code: 404)"}
        if action == "LIST":
            next(session.account.lake.list(bucket, prefix), None)
    except SqlError as error:
        return {"status": "failure", "message": error.message}
    if action in {"WRITE", "DELETE"}:
        return {"status": "failure", "message": "Access Denied (Status Code: 403; Error Code: AccessDenied)"}
    return {"status": "success"}


def _joined(prefix: str, file: str) -> str:
    return f"{prefix}{file}" if not prefix or prefix.endswith("/") else f"{prefix}/{file}"


HANDLERS: dict[tuple[str, str], Handler] = {
    ("CREATE", "INTEGRATION"): _create,
    ("ALTER", "INTEGRATION"): _alter,
    ("DESCRIBE", "INTEGRATION"): _describe,
    ("DROP", "INTEGRATION"): _drop,
    ("SHOW", "INTEGRATION"): _show,
}
