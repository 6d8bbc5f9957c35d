"""compose.yaml is what Compose takes, gives Prefect settings that exist, and keeps its own laws."""

from __future__ import annotations

import copy
import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import Settings
from pydantic import BaseModel

from tests.containers import composed, interpolated

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "compose.yaml").read_text("utf-8")
GIVEN = {
    "PREFECT_SERVER_API_AUTH_STRING": "admin:a b'c",
    "PREFECT_SERVER_ENCRYPTION_KEY": "key=",
    "DATABASE_PASSWORD": "p@ss:w/rd%",
}
WRITTEN = composed(TEXT)
FILLED = composed(TEXT, GIVEN)

#: What Prefect reads from the environment itself: its settings do not know it.
BESIDE_SETTINGS = {"PREFECT_SERVER_ENCRYPTION_KEY"}


def settings_of(model: type[BaseModel]) -> Iterator[str]:
    """The environment variables that these settings are read from, aliases among them."""
    prefix = str(dict(model.model_config).get("env_prefix", ""))
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_of(field.annotation)
        else:
            yield f"{prefix}{name}".upper()
            aliases = getattr(field.validation_alias, "choices", ())
            yield from (one.upper() for one in aliases if isinstance(one, str))


KNOWN = frozenset(settings_of(Settings))

Services = dict[str, dict[str, Any]]


def is_one_shot(service: dict[str, Any]) -> bool:
    return service.get("restart") == "no"


def ports_are_of_this_machine(services: Services) -> Iterator[str]:
    for name, service in services.items():
        for port in service.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                yield f"{name} publishes {port} to strangers"
        if service.get("network_mode") == "host":
            yield f"{name} has every port of the machine"


def secrets_come_from_outside(services: Services) -> Iterator[str]:
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            secret = re.search(r"PASSWORD|SECRET|TOKEN|AUTH_STRING|_KEY|CONNECTION_URL", variable)
            if secret and not re.fullmatch(r"\$\{\w+:\?[^}]+\}", str(value)):
                yield f"{name} holds a value for {variable}, or starts without one"


def health_is_asked_for(services: Services) -> Iterator[str]:
    for name, service in services.items():
        if not is_one_shot(service):
            if "test" not in service.get("healthcheck", {}):
                yield f"nobody asks {name} whether it is well"
            if service.get("restart") != "unless-stopped" or "stop_grace_period" not in service:
                yield f"{name} is not started again, or not given time to end"


def containers_may_little(services: Services) -> Iterator[str]:
    for name, service in services.items():
        asked = (service.get("read_only"), service.get("cap_drop"), service.get("security_opt"))
        if asked != (True, ["ALL"], ["no-new-privileges:true"]):
            yield f"{name} may do more than it needs"
        if service.get("privileged") or "docker.sock" in str(service.get("volumes")):
            yield f"{name} may do everything on this machine"


def leases_outlive_a_restart(services: Services) -> Iterator[str]:
    for name, service in services.items():
        if service.get("command", [])[:3] == ["prefect", "server", "start"]:
            storage = service["environment"].get("PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE", "memory")
            if storage.endswith("memory") or not any(
                "/scratch" in str(one) for one in service.get("volumes", [])
            ):
                yield f"{name} forgets its leases"
            if service["environment"].get("PREFECT_SERVER_ANALYTICS_ENABLED") != "false":
                yield f"{name} reports to others"


def images_can_be_pinned(services: Services) -> Iterator[str]:
    for name, service in services.items():
        if not re.fullmatch(r"\$\{\w+_IMAGE:-[\w./-]+(:[\w.-]+)?\}", service.get("image", "")):
            yield f"the image of {name} cannot be named by its digest"


def workers_can_be_many(services: Services) -> Iterator[str]:
    worker = services["worker"]
    if "ports" in worker or "container_name" in worker:
        yield "a second worker would want what the first one has"
    if worker.get("volumes") != ["scratch:/scratch"]:
        yield "workers have no scratch folder, or one that nobody finds again"


def nothing_is_left_without_a_name(services: Services) -> Iterator[str]:
    """The image declares /scratch as a volume: where nothing is mounted, each container gets a new one."""
    for name, service in services.items():
        if "AMPLITUDE_IMAGE" not in service.get("image", ""):
            continue
        mounts = service.get("volumes", [])
        # A mode of its own: a tmpfs takes over the folder's, and then belongs to root alone.
        in_memory = any(
            isinstance(one, dict)
            and (one["type"], one["target"]) == ("tmpfs", "/scratch")
            and one.get("tmpfs", {}).get("mode") == 0o1777
            for one in mounts
        )
        named = any(re.fullmatch(r"[a-z]+:/scratch", str(one)) for one in mounts)
        if not (in_memory if is_one_shot(service) else named):
            yield f"{name} leaves a volume without a name, or cannot write"


def prefect_knows_what_it_is_told(services: Services) -> Iterator[str]:
    for name, service in services.items():
        told = {one for one in service.get("environment", {}) if one.startswith("PREFECT_")}
        yield from (
            f"{name} sets {one}, which Prefect does not read" for one in told - KNOWN - BESIDE_SETTINGS
        )


LAWS: tuple[Callable[[Services], Iterator[str]], ...] = (
    ports_are_of_this_machine,
    secrets_come_from_outside,
    health_is_asked_for,
    containers_may_little,
    leases_outlive_a_restart,
    images_can_be_pinned,
    workers_can_be_many,
    nothing_is_left_without_a_name,
    prefect_knows_what_it_is_told,
)


def broken(services: Services) -> list[str]:
    return [one for law in LAWS for one in law(services)]


def test_compose_keeps_its_laws() -> None:
    assert broken(WRITTEN["services"]) == []


@pytest.mark.parametrize(
    ("service", "spoiled", "found"),
    [
        ("server", {"ports": ["4200:4200"]}, "publishes 4200:4200 to strangers"),
        ("worker", {"network_mode": "host"}, "every port of the machine"),
        (
            "database",
            {"environment": {"POSTGRES_PASSWORD": "prefect"}},
            "holds a value for POSTGRES_PASSWORD",
        ),
        ("worker", {"environment": {"PREFECT_API_AUTH_STRING": "${A:-a:b}"}}, "starts without one"),
        ("worker", {"healthcheck": {}}, "whether it is well"),
        ("server", {"restart": "always"}, "is not started again"),
        ("migrate", {"read_only": False}, "may do more than it needs"),
        ("worker", {"volumes": ["/var/run/docker.sock:/var/run/docker.sock"]}, "everything on this machine"),
        ("server", {"volumes": []}, "forgets its leases"),
        ("server", {"environment": {}}, "forgets its leases"),
        ("server", {"environment": {}}, "reports to others"),
        ("database", {"image": "postgres"}, "cannot be named by its digest"),
        ("worker", {"container_name": "worker"}, "a second worker"),
        ("worker", {"volumes": ["/scratch"]}, "that nobody finds again"),
        ("worker", {"volumes": ["/scratch"]}, "worker leaves a volume without a name"),
        ("migrate", {"volumes": []}, "migrate leaves a volume without a name"),
        ("pool", {"volumes": [{"type": "tmpfs", "target": "/scratch"}]}, "pool leaves a volume"),
        ("server", {"environment": {"PREFECT_SERVER_LEASES": "x"}}, "PREFECT_SERVER_LEASES, which Prefect"),
    ],
)
def test_a_broken_law_of_compose_is_noticed(service: str, spoiled: dict[str, Any], found: str) -> None:
    services = copy.deepcopy(WRITTEN["services"])
    services[service] |= spoiled
    assert any(found in one for one in broken(services))


def test_nothing_starts_without_its_secrets() -> None:
    for name in GIVEN:
        for lacking in ({**GIVEN, name: ""}, {one: value for one, value in GIVEN.items() if one != name}):
            with pytest.raises(KeyError, match=name):
                composed(TEXT, lacking)


def test_variables_are_put_in_as_compose_does_it() -> None:
    assert interpolated("${A:-x}/${B:-y:${A:-z}}", {"A": "1"}) == "1/y:1"
    assert interpolated("${A:-x${B}}", {}) == "x"
    assert interpolated("${A:?why}", {"A": "${B}"}) == "${B}"


def test_each_service_waits_for_what_it_needs() -> None:
    waits = {name: one.get("depends_on", {}) for name, one in WRITTEN["services"].items()}
    assert {name: [*others] for name, others in waits.items()} == {
        "database": [],
        "migrate": ["database"],
        "server": ["migrate"],
        "pool": ["server"],
        "worker": ["pool"],
        "register": ["server"],
        "deploy": ["pool"],
    }
    for others in waits.values():
        for other, how in others.items():
            once = is_one_shot(WRITTEN["services"][other])
            assert how["condition"] == ("service_completed_successfully" if once else "service_healthy")


def test_the_server_meets_its_database_and_its_worker() -> None:
    database, server, worker = (FILLED["services"][name] for name in ("database", "server", "worker"))
    told = {name.removeprefix("PREFECT_SERVER_DATABASE_"): one for name, one in server["environment"].items()}
    assert [told[name] for name in ("HOST", "NAME", "USER", "PASSWORD")] == [
        "database",
        *(database["environment"][f"POSTGRES_{name}"] for name in ("DB", "USER", "PASSWORD")),
    ]
    assert server["environment"]["PREFECT_SERVER_API_AUTH_STRING"] == "admin:a b'c"
    assert worker["environment"]["PREFECT_API_AUTH_STRING"] == "admin:a b'c"
    assert worker["environment"]["PREFECT_API_URL"] == "http://server:4200/api"
    assert server["ports"] == ["127.0.0.1:4200:4200"]
    assert server["environment"]["PREFECT_SERVER_UI_API_URL"] == "http://127.0.0.1:4200/api"


def test_links_lead_to_where_a_person_can_open_them() -> None:
    for variables, url in (
        ({}, "http://127.0.0.1:4200"),
        ({"SERVER_PORT": "4300"}, "http://127.0.0.1:4300"),
        ({"SERVER_URL": "https://prefect.example.com"}, "https://prefect.example.com"),
    ):
        services = composed(TEXT, GIVEN | variables)["services"]
        for name in ("server", "worker"):
            assert services[name]["environment"]["PREFECT_UI_URL"] == url


def test_commands_in_a_worker_s_container_reach_the_server() -> None:
    worker, register = FILLED["services"]["worker"], FILLED["services"]["register"]
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_UI_URL"):
        assert worker["environment"][name] == register["environment"][name] != ""


def test_another_project_s_variables_come_from_another_file() -> None:
    def read_by(**variables: str) -> str:
        (file,) = composed(TEXT, GIVEN | variables)["services"]["register"]["env_file"]
        assert (file["format"], file["required"]) == ("raw", False)
        return str(file["path"])

    assert read_by() == ".env"
    assert read_by(ENV_FILE=".env.shop") == ".env.shop"
    # Its options follow the service's name: the command is empty, and what it would replace is not.
    register = FILLED["services"]["register"]
    assert register["entrypoint"] == ["python", "-m", "blocks.register"]
    assert "command" not in register


def deploying(folder: Path) -> subprocess.CompletedProcess[str]:
    """What the service "deploy" does in a folder, with a prefect of another kind."""
    prefect = folder / "prefect"
    prefect.write_text('#!/bin/sh\necho "$@"\n', "utf-8")
    prefect.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    command = WRITTEN["services"]["deploy"]["command"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_prefect_yaml_that_the_container_may_not_read_is_told_in_one_sentence(tmp_path: Path) -> None:
    done = deploying(tmp_path)  # none at all, for root may read everything
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "The container may not read prefect.yaml: run chmod a+r prefect.yaml\n"
    (tmp_path / "prefect.yaml").touch()
    done = deploying(tmp_path)
    assert (done.returncode, done.stdout) == (0, "--no-prompt deploy --all\n")


def test_where_leases_are_kept_is_a_place_that_prefect_knows() -> None:
    storage = FILLED["services"]["server"]["environment"]["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]
    assert hasattr(importlib.import_module(storage), "ConcurrencyLeaseStorage")


def test_only_the_server_gets_the_key_and_only_its_side_the_database() -> None:
    services = FILLED["services"]
    assert [name for name, one in services.items() if GIVEN["PREFECT_SERVER_ENCRYPTION_KEY"] in str(one)] == [
        "server"
    ]
    assert [name for name, one in services.items() if "database" in one.get("networks", [])] == [
        "database",
        "migrate",
        "server",
    ]
    assert FILLED["networks"]["database"]["internal"] is True


def test_the_worker_serves_the_pool_that_is_made_and_it_can_be_named() -> None:
    for variables, pool in (({}, "amplitude"), ({"WORK_POOL": "events"}, "events")):
        services = composed(TEXT, GIVEN | variables)["services"]
        command = services["worker"]["command"]
        assert command[command.index("--pool") + 1] == pool
        made = services["pool"]["command"][-1]
        assert f"inspect {pool} " in made
        assert made.endswith(f"create --type process {pool}")
    # The name that stands in prefect.yaml is its user's to change; this one is what the README makes.
    assert "prefect work-pool create --type process amplitude\n" in (ROOT / "README.md").read_text("utf-8")


def schema_refuses(path: Path) -> str:
    """What the Compose specification, as check-jsonschema brings it, has against a file."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.slow
def test_compose_is_what_the_specification_allows(tmp_path: Path) -> None:
    assert schema_refuses(ROOT / "compose.yaml") == ""
    spoiled = tmp_path / "compose.yaml"
    spoiled.write_text(TEXT.replace("read_only: true", "readonly: true", 1), "utf-8")
    assert "readonly" in schema_refuses(spoiled)
