"""ALTER SESSION, SHOW PARAMETERS, USE."""

# ruff: noqa: EM101 - what the service says stands where it is said

from emulators.snowflake.command import Command, Handler
from emulators.snowflake.errors import cannot_operate, invalid_parameter, invalid_value, no_current
from emulators.snowflake.lexer import text_of
from emulators.snowflake.parameters import DEFAULTS, is_parameter, zone_of
from emulators.snowflake.patterns import matches
from emulators.snowflake.results import Result, rows_of, status

_BOOLEANS = {"TRUE", "FALSE"}


def _alter_session(command: Command) -> Result:
    words, parameters = command.words, command.session.parameters
    if words.accept("UNSET"):
        while words.next is not None:
            name = _known(words.take().text)
            parameters.pop(name, None)
            if name in DEFAULTS:
                parameters[name] = DEFAULTS[name]
            words.accept(",")
        return status()
    words.expect("SET")
    for name, value in words.settings():
        text = text_of(value)
        if _known(name) == "LOCK_TIMEOUT" and not text.isdigit():
            raise invalid_value(name, text)
        if name == "TIMEZONE":
            zone_of({name: text})
        parameters[name] = text.lower() if text.upper() in _BOOLEANS else text
    words.end()
    return status()


def _known(name: str) -> str:
    if not is_parameter(name):
        raise invalid_parameter(name)
    return name


def _show_parameters(command: Command) -> Result:
    pattern = command.like()
    parameters = command.session.parameters
    rows = [
        [
            name,
            value,
            DEFAULTS.get(name, ""),
            "SESSION" if value != DEFAULTS.get(name, "") else "",
            "",
            "STRING",
        ]
        for name, value in sorted(parameters.items())
        if matches(pattern, name)
    ]
    return rows_of(["key", "value", "default", "level", "description", "type"], rows)


def _use(command: Command) -> Result:
    session, place = command.session, command.session.connection
    if command.kind == "SECONDARY":
        return status()
    name = command.words.name()
    command.words.end()
    if command.kind == "ROLE":
        if name[0] not in session.account.objects.roles:
            raise cannot_operate()
        session.role = name[0]
    elif command.kind == "WAREHOUSE":
        if name[0] not in session.account.objects.warehouses:
            raise cannot_operate()
        session.warehouse = name[0]
    elif command.kind == "DATABASE":
        if not place.has_database(name[0]):
            raise cannot_operate()
        place.use(name[0], "PUBLIC" if place.has_schema(name[0], "PUBLIC") else None)
    else:
        if len(name) == 1 and not place.database_set:
            raise no_current("database", "USE SCHEMA")
        database, schema = (place.database or "", name[0]) if len(name) == 1 else (name[0], name[1])
        if not place.has_database(database) or not place.has_schema(database, schema):
            raise cannot_operate()
        place.use(database, schema)
    return status()


HANDLERS: dict[tuple[str, str], Handler] = {
    ("ALTER", "SESSION"): _alter_session,
    ("SHOW", "PARAMETER"): _show_parameters,
    ("USE", ""): _use,
}
