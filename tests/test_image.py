"""The image holds what its flows need: the steps of the Dockerfile, without an engine.

Likewise .venv holds what emulators and tests need, and because somebody asked for it.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.metadata
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.fernet import Fernet
from dotenv import dotenv_values

from core.hours import ExportHour
from emulators.amplitude import AmplitudeEmulator
from emulators.children import free_port
from scripts.locks import pins_of
from tests.containers import Builder, Instruction, Stage, composed, instructions_of, is_ignored
from tests.deployments.postgres import PostgreSQL
from tests.deployments.prefect_file import ours_in, switched_to
from tests.needs import need

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
IGNORED = (ROOT / ".dockerignore").read_text("utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text("utf-8")
FOLDERS = re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE)
LOCKED = frozenset(pins_of((ROOT / "requirements.txt").read_text("utf-8")))
LOCKED_FOR_TESTS = frozenset(pins_of((ROOT / "requirements-dev.txt").read_text("utf-8")))
STAGE = ("emulators", "tests", "scripts")
OWN = {*FOLDERS, *sys.stdlib_module_names}
#: Distributions whose modules are the public face of another one, which is the one to name.
FACE_OF = {"botocore": "boto3", "pydantic": "prefect"}


@functools.cache
def brought_by() -> dict[str, set[str]]:
    """The distributions that bring each top-level module, by the names that a lock uses."""
    found = importlib.metadata.packages_distributions().items()
    return {module: {re.sub(r"[-_.]+", "-", name).lower() for name in names} for module, names in found}


def named_in(*sources: str) -> frozenset[str]:
    """The distributions that these texts ask for by name, as a lock writes them."""
    lines = (line for source in sources for line in source.splitlines())
    found = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line) for line in lines)
    return frozenset(re.sub(r"[-_.]+", "-", name[0]).lower() for name in found if name)


NAMED = named_in(*((ROOT / name).read_text("utf-8") for name in ("requirements.in", "requirements-dev.in")))
NAMED |= {module for module, face in FACE_OF.items() if face in NAMED}


def not_brought(text: str, distributions: frozenset[str], folders: Iterable[str] = ()) -> Iterator[str]:
    """Modules that a source imports when it runs, and that neither these distributions nor folders bring."""
    own = {*OWN, *folders}
    tree = ast.parse(text)
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        names: Iterable[str] = ()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names if id(node) not in for_types else ():
            top = name.partition(".")[0]
            if top not in own and not brought_by().get(top, set()) & distributions:
                yield name


def test_the_image_holds_the_house_without_its_stage() -> None:
    assert sorted(FOLDERS) == ["blocks", "core", "flows", "infra", "tasks"]
    assert [folder for folder in FOLDERS if is_ignored(f"{folder}/__init__.py", IGNORED)] == []


def test_secrets_tests_and_caches_are_not_even_sent_to_the_builder() -> None:
    for path in (".env", ".env.compose", "snowflake.p8", "tests/laws.py", ".git/config", "prefect.yaml"):
        assert is_ignored(path, IGNORED)
    assert is_ignored("core/lake/__pycache__/layout.cpython-312.pyc", IGNORED)
    assert not is_ignored("core/warehouse/sql/begin.sql", IGNORED)
    assert not is_ignored(".env", IGNORED.replace("*\n", "", 1))


def final_stage(dockerfile: str) -> list[Instruction]:
    """The instructions of the stage that becomes the image."""
    found = instructions_of(dockerfile)
    return found[max(at for at, one in enumerate(found) if one.word == "FROM") :]


def faults_of(dockerfile: str) -> Iterator[str]:
    """What is wrong with a Dockerfile, as far as reading it can tell."""
    everything = instructions_of(dockerfile)
    if [one.rest.split()[0] for one in everything if one.word == "FROM"] != ["${PYTHON_IMAGE}"] * 2:
        yield "a stage stands on another image than the argument says, and its digest cannot be given"
    install = next((one.rest for one in everything if "install" in one.rest), "")
    for option in ("--require-hashes", "--only-binary :all:", "--no-deps", "--compile"):
        if option not in install:
            yield f"packages are installed without {option}"
    image = final_stage(dockerfile)
    for one in image:
        for tool in ("pip", "apt-get", "gcc", "curl"):
            if one.word == "RUN" and re.search(rf"\b{tool}\b", one.rest):
                yield f"the image is made with {tool}"
    users = [one.rest for one in image if one.word == "USER"]
    if not users or re.match(r"(0|root)\b", users[-1]):
        yield "its processes are root's"
    if any(
        one.word in {"RUN", "COPY"} for one in image[[one.word for one in image].index("USER") :] if users
    ):
        yield "what is made after USER belongs to that user"
    yield from (f"{one.word} fetches what no hash was checked of" for one in everything if one.word == "ADD")


def test_the_dockerfile_keeps_its_rules() -> None:
    assert list(faults_of(DOCKERFILE)) == []


@pytest.mark.parametrize(
    ("written", "instead", "fault"),
    [
        ("FROM ${PYTHON_IMAGE} AS", "FROM python:3.12 AS", "a stage stands on another image"),
        (" --require-hashes", "", "without --require-hashes"),
        (" --compile", "", "without --compile"),
        ("RUN chmod", "RUN apt-get install gcc && chmod", "made with apt-get"),
        ("USER 10001:10001", "USER root", "root's"),
        ("VOLUME", "RUN touch /app/x\nVOLUME", "after USER"),
        ("COPY requirements.txt", "ADD requirements.txt", "ADD fetches"),
    ],
)
def test_a_broken_rule_of_the_dockerfile_is_noticed(written: str, instead: str, fault: str) -> None:
    spoiled = DOCKERFILE.replace(written, instead, 1)
    assert spoiled != DOCKERFILE
    assert any(fault in one for one in faults_of(spoiled))


def flows_in(folder: Path) -> set[str]:
    """The modules of a folder that hold a flow."""
    holds = re.compile(r"^@flow\b", re.MULTILINE)
    return {f"flows.{path.stem}" for path in folder.glob("*.py") if holds.search(path.read_text("utf-8"))}


def imported_by(dockerfile: str) -> set[str]:
    """The modules that a build imports, to see that it can."""
    (names,) = re.findall(r'python -c "import ([^"]+)"', dockerfile)
    return set(re.split(r",\s*", names))


def test_every_flow_is_imported_when_the_image_is_built(tmp_path: Path) -> None:
    assert imported_by(DOCKERFILE) == flows_in(ROOT / "flows")
    assert "flows.ingest" in flows_in(ROOT / "flows")
    (tmp_path / "audit.py").write_text("@flow(name='audit')\ndef audit() -> None: ...\n", "utf-8")
    assert flows_in(tmp_path) == {"flows.audit"}


def test_a_dockerfile_is_read_as_an_engine_reads_it() -> None:
    text = "ARG A=b\nFROM ${A}\nENV X=1 \\\n    # why\n    Y=2\nRUN a \\\n    && b\n"
    assert instructions_of(text) == [
        Instruction("ARG", "A=b"),
        Instruction("FROM", "${A}"),
        Instruction("ENV", "X=1      Y=2"),
        Instruction("RUN", "a      && b"),
    ]


@pytest.mark.parametrize("line", ["HEALTHCHECK NONE", "FROM debian", "SHELL x"])
def test_an_instruction_that_the_rehearsal_does_not_know_is_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not rehearsed|is no image of Python"):
        Builder(ROOT, tmp_path).build(f"FROM python:3\n{line}")


def missing_in(folders: Iterable[str], distributions: frozenset[str]) -> dict[str, list[str]]:
    """What these distributions do not bring, by the file that imports it."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    missing = {
        str(path): list(not_brought(path.read_text("utf-8"), distributions, folders)) for path in paths
    }
    return {path: names for path, names in missing.items() if names}


def test_what_production_code_imports_is_in_the_runtime_lock() -> None:
    assert missing_in(FOLDERS, LOCKED) == {}


def test_an_import_that_only_the_tests_lock_brings_is_noticed() -> None:
    assert list(not_brought("import os, httpx\nfrom moto.core import x", LOCKED)) == ["moto.core"]
    assert list(not_brought("def f():\n    import httpx", LOCKED - {"httpx"})) == ["httpx"]
    assert list(not_brought("if TYPE_CHECKING:\n    from mypy_boto3_s3 import S3Client", LOCKED)) == []


def test_what_emulators_and_tests_import_is_locked_and_asked_for_by_name() -> None:
    assert missing_in(STAGE, LOCKED_FOR_TESTS) == {}
    assert missing_in(STAGE, NAMED) == {}


def test_an_import_that_nobody_asks_for_by_name_is_noticed() -> None:
    imports = "import anyio, duckdb\nfrom jwt import decode\nimport botocore.config, yaml, moto.s3"
    assert list(not_brought(imports, LOCKED_FOR_TESTS)) == []
    assert list(not_brought(imports, NAMED)) == ["anyio"]
    assert list(not_brought(imports, NAMED - {"duckdb", "pyjwt"})) == ["anyio", "duckdb", "jwt"]
    assert named_in("# a comment\n-r b.txt\nPyJWT  # why\nboto3-stubs[s3]<2\nprefect==3") == {
        "pyjwt",
        "boto3-stubs",
        "prefect",
    }


@pytest.mark.slow
def test_the_flows_import_from_what_is_copied(tmp_path: Path) -> None:
    step = f"import {', '.join(sorted(imported_by(DOCKERFILE)))}"
    app = tmp_path / "app"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, app / folder, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(app), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", step], cwd=app, env=environment, check=True)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Stage:
    """What the Dockerfile makes, by its own steps; see :mod:`tests.containers`."""
    need(sys.platform == "linux" and os.geteuid() == 0, "Linux and root, to mount the image's folders")
    python = Path(sys.base_prefix) / "bin/python"
    need(
        python.exists(), "a Python that is not the distribution's, to stand in for the image's in /usr/local"
    )
    started = time.monotonic()
    stage = Builder(ROOT, tmp_path_factory.mktemp("image")).build(DOCKERFILE)
    told = f"The image: {megabytes(stage)} MB beyond its base, built in {time.monotonic() - started:.0f} s"
    plugins = request.config.pluginmanager
    with plugins.getplugin("capturemanager").global_and_fixture_disabled():
        plugins.getplugin("terminalreporter").write_line(told)
    return stage


def megabytes(stage: Stage) -> int:
    """What the build adds to the base image."""
    layers = (stage.root / name for name in ("venv", "app", "scratch"))
    files = (path.lstat() for layer in layers for path in layer.rglob("*"))
    return sum(status.st_blocks * 512 for status in files) // 1_000_000


def said(image: Stage, *command: str) -> str:
    """What a command says that ends well in a container with a read-only root."""
    done = image.run(command)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_image_runs_with_a_read_only_root(image: Stage) -> None:
    assert megabytes(image) < 450
    assert [*(image.root / "scratch").iterdir()] == []
    assert "usage: python -m flows.ingest" in said(image, "python", "-m", "flows.ingest", "--help")
    assert "3.8.8" in said(image, "prefect", "version")
    said(image, "python", "-c", f"import {', '.join(imported_by(DOCKERFILE))}")
    assert said(image, "sh", "-c", "pwd; id -u; command -v prefect").split() == [
        "/app",
        "10001",
        "/venv/bin/prefect",
    ]
    said(image, "python", "-c", "import tempfile; tempfile.TemporaryFile().write(b'x')")
    assert "No module named pip" in image.run(["python", "-m", "pip", "--version"]).stdout
    compiled = said(
        image, "sh", "-c", "ls /app/flows/__pycache__ /venv/lib/python3*/site-packages/prefect/__pycache__"
    )
    assert {"ingest", "flows"} <= {name.split(".")[0] for name in compiled.split() if name.endswith(".pyc")}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_nothing_is_written_outside_scratch(image: Stage) -> None:
    folders = "/ /app /app/flows /venv /tmp /etc /usr /usr/local /scratch"
    attempt = f"for folder in {folders}; do touch $folder/x && echo $folder; done"
    written = [line for line in image.run(["sh", "-c", attempt]).stdout.splitlines() if line.startswith("/")]
    assert written == ["/scratch"]
    # The attempt would succeed if it was not for the read-only root.
    built = image.run(["sh", "-c", "touch /app/x && rm /app/x && echo done"], locked=False)
    assert built.stdout == "done\n"


@dataclass(frozen=True)
class Compose:
    """The services of compose.yaml, each with its own command and environment, in the rehearsed image.

    Names of services and published ports become ports of loopback; PostgreSQL is this machine's.
    """

    image: Stage
    services: dict[str, Any]
    overrides: dict[str, str]
    folder: Path

    def command(self, service: str) -> list[str]:
        own = self.services[service]
        return [*own.get("entrypoint", []), *own.get("command", [])]

    def environment(self, service: str, extra: Mapping[str, str]) -> dict[str, str]:
        own: dict[str, str] = self.services[service]["environment"]
        return own | {name: value for name, value in self.overrides.items() if name in own} | dict(extra)

    def once(self, service: str, **extra: str) -> str:
        """A service that ends by itself, and ends well; what it says."""
        stage = self.image.with_volume(self.folder / f"{service}-{secrets.token_hex(4)}")
        done = stage.run(self.command(service), self.environment(service, extra))
        assert done.returncode == 0, done.stdout
        return done.stdout

    @contextlib.contextmanager
    def running(self, service: str, **extra: str) -> Iterator[Path]:
        """A service that goes on, until the block ends; its volume."""
        volume = self.folder / service
        command = self.image.with_volume(volume).command(
            self.command(service), self.environment(service, extra)
        )
        with (self.folder / f"{service}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                yield volume
            finally:
                process.kill()
                process.wait()


def until(what: Callable[[], Any], seconds: float = 180) -> Any:
    """The first answer that is one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            if answer := what():
                return answer
        time.sleep(0.2)
    pytest.fail(f"not within {seconds:.0f} s")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_what_compose_starts_runs_flows_in_the_image(image: Stage, tmp_path: Path) -> None:
    password = f"p@ss:w/rd%{secrets.token_hex(8)}"
    given = {
        "PREFECT_SERVER_API_AUTH_STRING": f"admin:{password}",
        "PREFECT_SERVER_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    server, health = free_port(), free_port()
    with PostgreSQL() as database, AmplitudeEmulator() as amplitude:
        at = urlsplit(database.url)
        pool = str(ours_in(switched_to("process"), tmp_path)[0]["work_pool"]["name"])
        given |= {"DATABASE_PASSWORD": str(at.password), "WORK_POOL": pool}
        services = composed(COMPOSE, given)["services"]
        overrides = {
            "PREFECT_SERVER_DATABASE_HOST": "127.0.0.1",
            "PREFECT_SERVER_DATABASE_PORT": str(at.port),
            "PREFECT_SERVER_API_HOST": "127.0.0.1",
            "PREFECT_API_URL": f"http://127.0.0.1:{server}/api",
        }
        compose = Compose(image, services, overrides, tmp_path)
        mounted = image.root / "app" / "prefect.yaml"  # as the volume of "deploy" does
        mounted.write_text(switched_to("process"), "utf-8")
        mounted.chmod(0o644)
        assert "Migrations succeeded" in compose.once("migrate")
        with (
            compose.running("server", PREFECT_SERVER_API_PORT=str(server)) as kept,
            httpx.Client(base_url=f"http://127.0.0.1:{server}", auth=("admin", password)) as client,
        ):
            until(lambda: httpx.get(f"{client.base_url}/api/health").is_success)
            assert httpx.post(f"{client.base_url}/api/flows/filter").status_code == 401
            assert client.get("/ui-settings").json()["auth"] == "BASIC"
            assert client.get("/").headers["content-type"].startswith("text/html")
            assert "Created work pool" in compose.once("pool")
            assert "Created" not in compose.once("pool")
            api_key, secret_key = amplitude.auth
            # As .env holds them: all of them, most without a value.
            empty = dict.fromkeys(dotenv_values(ROOT / ".env.example"), "")
            of_env = empty | {
                "BUCKET_NAME": "lake",
                "AMP_API_KEY": api_key,
                "AMP_SECRET_KEY": secret_key,
                "AMP_BASE_URL": amplitude.url,
            }
            assert "amplitude-credentials/amplitude" in compose.once("register", **of_env)
            compose.once("deploy")
            deployment = client.get("/api/deployments/name/amplitude-extract/manual").json()
            assert "/app" in [
                step.get("directory") for one in deployment["pull_steps"] for step in one.values()
            ]
            hour = str(ExportHour.containing(datetime.now(UTC) - timedelta(hours=30)))

            def asked_for() -> str:
                parameters = {"to": "/scratch/json", "start": hour, "end": hour}
                path = f"/api/deployments/{deployment['id']}/create_flow_run"
                return str(client.post(path, json={"parameters": parameters}).raise_for_status().json()["id"])

            def state_of(run: str) -> str:
                found: str = client.get(f"/api/flow_runs/{run}").json()["state_type"]
                return found if found in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else ""

            # What a person asks for, in a worker's container.
            services["by hand"] = services["worker"] | {"command": ["prefect", "deployment", "ls"]}
            assert "amplitude-ingest/hourly" in compose.once("by hand")

            with compose.running("worker", PREFECT_WORKER_WEBSERVER_PORT=str(health)) as scratch:
                until(lambda: httpx.get(f"http://127.0.0.1:{health}/health").is_success)
                run = asked_for()
                assert until(lambda: state_of(run)) == "COMPLETED"
                assert [*(scratch / "json").rglob("*.json")] != []

            # What Docker, ECS and Kubernetes workers start, in a container of its own.
            run = asked_for()
            services["container"] = services["worker"] | {"command": ["prefect", "flow-run", "execute"]}
            compose.once("container", PREFECT__FLOW_RUN_ID=run)
            assert state_of(run) == "COMPLETED"
            assert (kept / ".prefect").is_dir()
        assert given["PREFECT_SERVER_ENCRYPTION_KEY"] not in database.dump()
