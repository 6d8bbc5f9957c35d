"""Warehouses, roles, grants: accepted and remembered, never enforced."""

# ruff: noqa: EM101 - what the service says stands where it is said

from emulators.snowflake.command import Command, Handler
from emulators.snowflake.errors import already_exists, missing
from emulators.snowflake.lexer import text_of
from emulators.snowflake.objects import Grant
from emulators.snowflake.patterns import matches
from emulators.snowflake.results import Result, rows_of, status


def _create_warehouse(command: Command) -> Result:
    exists_ok = command.if_not_exists()
    name = command.words.name()[0]
    command.words.accept("WITH")
    settings = {key: text_of(value) for key, value in command.words.settings()}
    warehouses = command.session.account.objects.warehouses
    if name in warehouses and not command.replace:
        if exists_ok:
            return status(f"{name} already exists, statement succeeded.")
        raise already_exists(name)
    warehouses[name] = {
        "size": settings.get("WAREHOUSE_SIZE", "X-Small"),
        "auto_suspend": settings.get("AUTO_SUSPEND", "600"),
        "auto_resume": settings.get("AUTO_RESUME", "true").lower(),
        "comment": settings.get("COMMENT", ""),
    }
    command.session.warehouse = name
    return status(f"Warehouse {name} successfully created.")


def _warehouses(command: Command) -> Result:
    pattern = command.like() if command.verb == "SHOW" else command.words.name()[0]
    found = command.session.account.objects.warehouses
    if command.verb != "SHOW" and pattern not in found:
        raise missing("Warehouse", pattern)
    rows = [
        [name, "STARTED", "STANDARD", one["size"], one.get("auto_suspend", "600"),
         one.get("auto_resume", "true"), one.get("comment", "")]
        for name, one in found.items()
        if matches(pattern, name)
    ]  # fmt: skip
    return rows_of(["name", "state", "type", "size", "auto_suspend", "auto_resume", "comment"], rows)


def _alter_warehouse(command: Command) -> Result:
    command.if_exists()
    name = command.words.name()[0]
    if name not in command.session.account.objects.warehouses:
        raise missing("Warehouse", name)
    return status()


def _drop_warehouse(command: Command) -> Result:
    missing_ok = command.if_exists()
    name = command.words.name()[0]
    if command.session.account.objects.warehouses.pop(name, None) is None and not missing_ok:
        raise missing("Warehouse", name)
    if command.session.warehouse == name:
        command.session.warehouse = None
    return status(f"{name} successfully dropped.")


def _create_role(command: Command) -> Result:
    exists_ok = command.if_not_exists()
    name = command.words.name()[0]
    roles = command.session.account.objects.roles
    if name in roles and not command.replace:
        if exists_ok:
            return status(f"{name} already exists, statement succeeded.")
        raise already_exists(name)
    roles.add(name)
    return status(f"Role {name} successfully created.")


def _drop_role(command: Command) -> Result:
    missing_ok = command.if_exists()
    name = command.words.name()[0]
    objects = command.session.account.objects
    if name not in objects.roles and not missing_ok:
        raise missing("Role", name)
    objects.roles.discard(name)
    for grant in [grant for grant in objects.grants if grant.to_name == name]:
        del objects.grants[grant]
    return status(f"{name} successfully dropped.")


def _show_roles(command: Command) -> Result:
    pattern = command.like()
    found = sorted(command.session.account.objects.roles)
    current = command.session.role
    rows = [[name, "Y" if name == current else "N"] for name in found if matches(pattern, name)]
    return rows_of(["name", "is_current"], rows)


def _read_grants(command: Command) -> list[Grant]:
    """Read `<privileges> ON <kind> <name> TO [ROLE|USER] <name>`, or `ROLE <name> TO …`."""
    words = command.words
    privileges: list[str] = [""]
    while words.peek() not in {"ON", "TO", "FROM"}:
        token = words.take()
        if token.word == ",":
            privileges.append("")
        else:
            privileges[-1] = f"{privileges[-1]} {token.text}".strip()
    kind, name = "", ""
    if words.accept("ON"):
        parts: list[str] = []
        while words.peek() not in {"TO", "FROM"}:
            parts.append(words.take().text)
        kind, name = _split(parts)
    else:
        kind, _, name = privileges[0].partition(" ")
        privileges = ["USAGE"]
    words.take()
    to_kind = words.take().text if words.peek() in {"ROLE", "USER", "SHARE"} else "ROLE"
    to_name = words.name()[-1]
    if to_kind == "ROLE" and to_name not in command.session.account.objects.roles:
        raise missing("Role", to_name)
    return [Grant(privilege, kind, name, to_kind, to_name) for privilege in privileges]


def _split(parts: list[str]) -> tuple[str, str]:
    starts = len(parts)
    for place in range(len(parts) - 1, 0, -1):
        if parts[place] == "." or parts[place - 1] == ".":
            continue
        starts = place
        break
    return " ".join(parts[:starts]), "".join(parts[starts:])


def _grant(command: Command) -> Result:
    command.session.account.objects.grants.update(dict.fromkeys(_read_grants(command)))
    return status()


def _revoke(command: Command) -> Result:
    for grant in _read_grants(command):
        command.session.account.objects.grants.pop(grant, None)
    return status()


def _concerns(grant: Grant, side: str, kind: str, name: str) -> bool:
    match side:
        case "TO":
            return grant.to_name == name
        case "OF":
            return grant.on_name == name
        case "ON":
            return grant.on_kind == "ACCOUNT" if kind == "ACCOUNT" else grant.on_name.endswith(name)
    return True


def _show_grants(command: Command) -> Result:
    words = command.words
    side = words.take().text if words.next else ""
    words.accept("STORAGE")
    kind = words.take().text if words.next else ""
    words.accept("FORMAT")
    name = ".".join(words.name()) if words.next else ""
    rows = [
        [g.created_on, g.privilege, g.on_kind.replace(" ", "_"), g.on_name, g.to_kind, g.to_name, "false",
         "ACCOUNTADMIN"]
        for g in command.session.account.objects.grants
        if _concerns(g, side, kind, name)
    ]  # fmt: skip
    columns = ["created_on:timestamp_ltz", "privilege", "granted_on", "name", "granted_to", "grantee_name"]
    return rows_of([*columns, "grant_option", "granted_by"], rows)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("CREATE", "WAREHOUSE"): _create_warehouse,
    ("SHOW", "WAREHOUSE"): _warehouses,
    ("DESCRIBE", "WAREHOUSE"): _warehouses,
    ("ALTER", "WAREHOUSE"): _alter_warehouse,
    ("DROP", "WAREHOUSE"): _drop_warehouse,
    ("CREATE", "ROLE"): _create_role,
    ("DROP", "ROLE"): _drop_role,
    ("SHOW", "ROLE"): _show_roles,
    ("GRANT", ""): _grant,
    ("REVOKE", ""): _revoke,
    ("SHOW", "GRANT"): _show_grants,
}
