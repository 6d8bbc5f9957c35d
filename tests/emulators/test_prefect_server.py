"""The Prefect server of the embedded stack; that it serves, every test of a flow says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emulators.prefect_server import PrefectServer, private_environment


def test_nothing_that_leads_elsewhere_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "AWS_PROFILE", "SNOWFLAKE_HOME", "AMP_API_KEY", "KMS_KEY_ID"):
        monkeypatch.setenv(name, "elsewhere")
    handed_on = private_environment(tmp_path)
    assert "elsewhere" not in handed_on.values()
    assert handed_on["PREFECT_HOME"] == str(tmp_path / "prefect")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_starts_where_no_env_file_of_the_project_lies(tmp_path: Path) -> None:
    with PrefectServer(private_environment(tmp_path), tmp_path / "server.log") as server:
        assert Path(f"/proc/{server.pid}/cwd").readlink() == tmp_path
