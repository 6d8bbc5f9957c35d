"""The Prefect server of the embedded stack; that it serves, every test of a flow says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emulators.prefect_server import PrefectServer, private_environment


def test_nothing_that_leads_elsewhere_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strays = ("PREFECT_API_URL", "AWS_PROFILE", "SNOWFLAKE_HOME", "AMP_API_KEY", "KMS_KEY_ID")
    for name in (*strays, "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "elsewhere")
    handed_on = private_environment(tmp_path)
    assert "elsewhere" not in handed_on.values()
    assert handed_on["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert handed_on["NO_PROXY"] == handed_on["no_proxy"] == "127.0.0.1,localhost"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_starts_where_no_env_file_lies_and_knows_no_origin_but_its_own(tmp_path: Path) -> None:
    """What it answers to other origins, the whole stack says in test_up.py."""
    with PrefectServer(private_environment(tmp_path), tmp_path / "server.log") as server:
        assert Path(f"/proc/{server.pid}/cwd").readlink() == tmp_path
        told = Path(f"/proc/{server.pid}/environ").read_bytes().decode().split("\0")
        origins = f"{server.url},{server.url.replace('127.0.0.1', 'localhost')}"
        assert f"PREFECT_SERVER_CORS_ALLOWED_ORIGINS={origins}" in told
