"""The PostgreSQL that tests start: a real one, theirs alone, and nothing of it is left."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from emulators.children import StackError
from emulators.prefect_server import PrefectServer, private_environment
from tests.deployments.postgres import PostgreSQL

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "install_postgresql.sh"


def fake_programs(folder: Path, version: str) -> Path:
    """A folder in which initdb says that it is of this version."""
    for name in ("initdb", "pg_ctl", "pg_dump"):
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} (PostgreSQL) {version}"\n')
        program.chmod(0o755)
    return folder


def found(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "POSTGRESQL_BIN": str(folder)}
    return subprocess.run(["sh", SCRIPT], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", ["14.0", "15.18 (Debian 15.18-0+deb12u1)", "18beta1"])
def test_a_postgresql_that_is_there_is_named_and_nothing_is_installed(version: str, tmp_path: Path) -> None:
    said = found(fake_programs(tmp_path, version))
    assert (said.returncode, said.stdout) == (0, f"{tmp_path}\n")


@pytest.mark.parametrize("version", ["9.6.24", "13.22", "of an unknown kind"])
def test_one_that_is_too_old_is_refused_in_one_sentence(version: str, tmp_path: Path) -> None:
    said = found(fake_programs(tmp_path, version))
    assert said.returncode == 1
    assert said.stderr.startswith("PostgreSQL 14 or later is needed and was not found. Install it")
    assert said.stderr.count("\n") == 1


def test_a_client_alone_is_no_postgresql(tmp_path: Path) -> None:
    (fake_programs(tmp_path, "17.0") / "initdb").unlink()
    assert found(tmp_path).returncode == 1


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_prefect_server_lives_on_it_and_everything_is_in_the_dump(tmp_path: Path) -> None:
    with PostgreSQL() as database:
        environment = private_environment(tmp_path) | {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database.url}
        with PrefectServer(environment, tmp_path / "server.log") as server:
            server.wait_until_ready()
            assert httpx.get(f"{server.api_url}/health").json() is True
            httpx.post(f"{server.api_url}/flows/", json={"name": "kept-in-postgresql"}).raise_for_status()
        assert database.query("SELECT name FROM flow") == ["kept-in-postgresql"]
        dump = database.dump()
        assert "kept-in-postgresql" in dump
        assert "CREATE TABLE public.flow_run " in dump
        password = database.url.split(":")[2].split("@")[0]
        assert password not in dump
        with pytest.raises(StackError, match="no password supplied"):
            stranger(database)
        folder, port = database.folder, int(database.url.split(":")[3].split("/")[0])
    assert not folder.exists()
    assert not (tmp_path / "prefect" / "prefect.db").exists(), "the server kept nothing elsewhere"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def stranger(database: PostgreSQL) -> None:
    """Somebody on this machine who does not know the password."""
    database._password = ""
    database.query("SELECT 1")
