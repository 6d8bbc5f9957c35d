"""``python -m emulators.amplitude`` from a shell."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from emulators.amplitude import EventSource
from emulators.amplitude.__main__ import main
from tests.emulators.test_amplitude import HOUR

ROOT = Path(__file__).parents[2]


@contextmanager
def running(*flags: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "emulators.amplitude", "--events-per-hour", "5", *flags]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("listening on http://127.0.0.1:"), line
            yield process, line.split()[-1]
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_listens_says_where_and_stops_cleanly(sign: signal.Signals) -> None:
    with running("--now", "2025-12-24T12:00:00Z", AMP_API_KEY="key", AMP_SECRET_KEY="secret") as (
        process,
        url,
    ):
        params = {"start": HOUR.api, "end": HOUR.api}
        assert httpx.get(f"{url}/api/2/export", params=params, auth=("key", "secret")).status_code == 200
        process.send_signal(sign)
        assert process.wait(5) == 0
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() == process.stderr.read() == ""


@pytest.mark.slow
def test_it_stops_when_its_parent_does() -> None:
    with running("--exit-with-parent", "--fault", "503:times=always") as (process, url):
        params = {"start": HOUR.api, "end": HOUR.api}
        answer = httpx.get(f"{url}/api/2/export", params=params, auth=("demo-api-key", "demo-secret-key"))
        assert answer.status_code == 503
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(5) == 0


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--first-hour", "yesterday"], "Not an export hour: 'yesterday'"),
        (["--now", "2025-12-24"], "--now takes an instant with its time zone"),
        (["--fault", "earthquake"], "There is no fault 'earthquake'"),
        (["--change", "add=-1"], "add takes a whole number"),
        (["--layout", "round"], "A layout is one of"),
        (["--parts", "0"], "parts_per_hour at 1"),
        (["--port", "70000"], "'70000' is not a port"),
        (["--nonsense"], "unrecognized arguments"),
        (["--write-truth", "/nowhere/truth.csv", "--last-hour", "2025-01-01T00"], "/nowhere/truth.csv"),
    ],
)
def test_what_the_user_can_put_right_is_one_line_and_code_2(
    flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(flags)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_a_port_in_use_is_one_line_and_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "emulators.amplitude", "--port", str(port)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert ended.stderr == f"python -m emulators.amplitude: 127.0.0.1:{port}: Address already in use.\n"


def test_the_truth_of_a_range_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "truth.csv"
    flags = [
        "--seed",
        "9",
        "--events-per-hour",
        "4",
        "--constant",
        "--first-hour",
        str(HOUR),
        "--last-hour",
        str(HOUR + 1),
    ]
    assert main([*flags, "--write-truth", str(path)]) == 0
    source = EventSource(seed=9, events_per_hour=4, constant=True)
    rows = [",".join(truth) for hour in (HOUR, HOUR + 1) for truth in source.truth(hour)]
    assert path.read_text().splitlines()[1:] == rows
    assert capsys.readouterr().out == "8 events from 2025-12-23T08 to 2025-12-23T09\n"
