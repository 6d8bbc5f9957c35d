"""File formats, by name and beside a stage or a COPY.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-file-format
"""

# ruff: noqa: EM101, TRY003 - what the service says stands where it is said

from dataclasses import asdict

from emulators.snowflake.command import Command, Handler
from emulators.snowflake.errors import already_exists, compilation_error, missing
from emulators.snowflake.lexer import Value, text_of
from emulators.snowflake.objects import FileFormat, Name
from emulators.snowflake.patterns import matches
from emulators.snowflake.results import Result, rows_of, status
from emulators.snowflake.session import Session


def need_schema(session: Session, full: Name) -> None:
    """Refuse to make an object in a schema that does not exist."""
    if not session.connection.has_database(full[0]) or not session.connection.has_schema(full[0], full[1]):
        raise missing("Schema", f"{full[0]}.{full[1]}")


def resolve_format(session: Session, value: Value | None, base: FileFormat) -> FileFormat:
    """FILE_FORMAT = (…), or the name of a format, over another format."""
    if value is None:
        return base
    if isinstance(value, list):
        raise compilation_error("syntax error in FILE_FORMAT.")
    settings: dict[str, Value] = {"FORMAT_NAME": value} if isinstance(value, str) else dict(value)
    if "FORMAT_NAME" in settings:
        name = tuple(part.strip('"').upper() for part in text_of(settings.pop("FORMAT_NAME")).split("."))
        full = session.connection.qualify(name, "operation")
        if full not in session.account.objects.formats:
            raise missing("File format", ".".join(full))
        return session.account.objects.formats[full][0].changed(settings)
    return (FileFormat() if "TYPE" in settings else base).changed(settings)


def _create_format(command: Command) -> Result:
    exists_ok = command.if_not_exists()
    session = command.session
    full = session.connection.qualify(command.words.name(), "CREATE FILE FORMAT")
    settings = dict(command.words.settings())
    command.words.end()
    need_schema(session, full)
    formats = session.account.objects.formats
    if full in formats and not command.replace:
        if exists_ok:
            return status(f"{full[2]} already exists, statement succeeded.")
        raise already_exists(full[2])
    formats[full] = (FileFormat().changed(settings), settings)
    return status(f"File format {full[2]} successfully created.")


def _describe_format(command: Command) -> Result:
    full = command.session.connection.qualify(command.words.name(), "DESCRIBE FILE FORMAT")
    if full not in command.session.account.objects.formats:
        raise missing("File format", ".".join(full))
    made, _ = command.session.account.objects.formats[full]
    found = asdict(made)
    fields = found.pop("text")
    found |= fields if made.kind == "CSV" else {}
    rows = [
        ["TYPE" if key == "kind" else key.upper(), "Boolean" if isinstance(value, bool) else "String",
         str(value).lower() if isinstance(value, bool) else str(value), ""]
        for key, value in found.items()
    ]  # fmt: skip
    return rows_of(["property", "property_type", "property_value", "property_default"], rows)


def _show_formats(command: Command) -> Result:
    pattern = command.like()
    rows = [
        [name[2], name[0], name[1], made.kind, "ACCOUNTADMIN", text_of(settings.get("COMMENT"))]
        for name, (made, settings) in command.session.account.objects.formats.items()
        if matches(pattern, name[2])
    ]
    return rows_of(["name", "database_name", "schema_name", "type", "owner", "comment"], rows)


def _drop_format(command: Command) -> Result:
    missing_ok = command.if_exists()
    full = command.session.connection.qualify(command.words.name(), "DROP FILE FORMAT")
    if command.session.account.objects.formats.pop(full, None) is None and not missing_ok:
        raise missing("File format", ".".join(full))
    return status(f"{full[2]} successfully dropped.")


HANDLERS: dict[tuple[str, str], Handler] = {
    ("CREATE", "FILE FORMAT"): _create_format,
    ("DESCRIBE", "FILE FORMAT"): _describe_format,
    ("SHOW", "FILE FORMAT"): _show_formats,
    ("DROP", "FILE FORMAT"): _drop_format,
}
