"""`make up` and `make down`: what runs is known by id and birth, and nothing else is ever ended."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from emulators import down, query, up
from emulators.children import StackError, free_port
from emulators.identity import Identity
from emulators.keeper import ui_port
from emulators.processes import Process, descendants, end, from_ps, gone
from emulators.record import ROOT, Record

# The keeper outlives the command that starts it; here the two are one process.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:subprocess .* is still running")]

#: A keeper with one other process, that says what the real one says, and ends it when it is ended.
MADE_UP = """
import os, signal, subprocess, sys, time
from pathlib import Path
from emulators.processes import Process
from emulators.record import Record

home = Path(sys.argv[1])
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
def stop(*_):
    other.terminate()
    other.wait()
    Record.forget(home)
    sys.exit()
signal.signal(signal.SIGTERM, stop)
me = Process.of(os.getpid())
Record(me, {"other": Process.of(other.pid)}, "http://127.0.0.1:4299", ready=True).write(home)
print("Something listens.")
print("ready", flush=True)
while True:
    time.sleep(1)
"""
KEEPER = ("-c", MADE_UP)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / ".stack"
    yield folder
    record = Record.read(folder)
    if record is not None:
        down.end_everything(record)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def running(home: Path) -> Record:
    record = Record.read(home)
    assert record is not None
    return record


def test_up_twice_starts_one_stack_and_says_where_it_is(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert up.main(home, KEEPER) == 0
    said = capsys.readouterr().out
    assert "Something listens." in said
    assert "export PREFECT_API_URL=http://127.0.0.1:4299/api" in said
    first = running(home)
    assert up.main(home, KEEPER) == 0
    said = capsys.readouterr().out
    assert said.startswith("It is up already.")
    assert "http://127.0.0.1:4299" in said
    assert running(home) == first
    assert first.complete
    assert home.stat().st_mode & 0o777 == 0o700


def test_down_ends_every_process_and_says_so_and_then_that_nothing_runs(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    up.main(home, KEEPER)
    everybody = running(home).everybody.values()
    capsys.readouterr()
    assert down.main(home) == 0
    assert "Stopped." in capsys.readouterr().out
    assert not any(one.alive for one in everybody)
    assert down.main(home) == 0
    assert capsys.readouterr().out == "Nothing is running.\n"


def test_down_makes_nothing_where_nothing_ever_ran(tmp_path: Path) -> None:
    assert down.main(tmp_path / ".stack") == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("who", ["keeper", "other"])
def test_a_stack_that_has_lost_a_process_is_started_again_whole(
    home: Path, who: str, capsys: pytest.CaptureFixture[str]
) -> None:
    up.main(home, KEEPER)
    before = running(home)
    victim = before.everybody[who]
    os.kill(victim.pid, signal.SIGKILL)
    assert gone([victim], 5)
    assert up.main(home, KEEPER) == 0
    assert f"It was not whole: {who}" in capsys.readouterr().out
    assert not any(one.alive for one in before.everybody.values())
    assert running(home).complete


def test_what_a_killed_keeper_left_behind_is_ended_by_down(home: Path) -> None:
    up.main(home, KEEPER)
    record = running(home)
    os.kill(record.keeper.pid, signal.SIGKILL)
    assert record.processes["other"].alive
    assert down.main(home) == 0
    assert not record.processes["other"].alive


def test_why_a_stack_ended_is_told_by_the_next_up(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    Record(Process(2**22 + 1, "long ago"), failure="The worker ended by itself.").write(home)
    assert up.main(home, KEEPER) == 0
    assert "It had ended. The worker ended by itself." in capsys.readouterr().out


@pytest.mark.parametrize("command", ["down", "up"])
def test_an_id_that_now_is_somebody_elses_is_left_alone(
    home: Path, bystander: subprocess.Popen[bytes], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    stale = replace(Process.of(bystander.pid), born="another day")
    Record(stale, {"worker": stale, "s3": stale}, "http://127.0.0.1:4299", [stale], ready=True).write(home)
    assert (down.main(home) if command == "down" else up.main(home, KEEPER)) == 0
    said = capsys.readouterr().out
    assert ("Nothing is running." if command == "down" else "It was not whole") in said
    assert bystander.poll() is None


def test_the_same_id_and_birth_is_ended(home: Path, bystander: subprocess.Popen[bytes]) -> None:
    """The other side of the guard above: without its look at the birth, that one would end like this."""
    home.mkdir()
    Record(Process.of(bystander.pid)).write(home)
    assert down.main(home) == 0
    assert bystander.wait(5) == -signal.SIGTERM


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keeper": 5}', '{"keeper": {"pid": 1}}', "\x00"])
def test_a_note_that_cannot_be_read_stops_up_and_is_removed_by_down(
    home: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    note = home / "running.json"
    note.write_text(text)
    assert up.main(home, KEEPER) == 1
    assert f"It could not be started. {note} cannot be read: make down removes it" in capsys.readouterr().err
    assert down.main(home) == 1
    assert "what runs ends by itself within seconds" in capsys.readouterr().err
    assert down.main(home) == 0
    assert up.main(home, KEEPER) == 0


def test_a_run_that_has_outlived_keeper_and_worker_is_ended_by_down(
    home: Path, bystander: subprocess.Popen[bytes]
) -> None:
    home.mkdir()
    dead = Process(2**22 + 1, "long ago")
    Record(dead, {"worker": dead}, runs=[Process.of(bystander.pid)]).write(home)
    assert down.main(home) == 0
    assert bystander.wait(5) == -signal.SIGTERM


def test_nothing_starts_where_an_env_file_of_the_project_is_read(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = "import os; import emulators; print('failed', os.getcwd(), os.path.dirname(emulators.__file__))"
    assert up.main(home, ("-c", where)) == 1
    assert f"{home / 'work'} {ROOT / 'emulators'}" in capsys.readouterr().err
    assert list((home / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "print('failed No port is free.\\nNot one.')",
            "It could not be started. No port is free.\nNot one.",
        ),
        ("raise SystemExit(3)", "It could not be started: see"),
    ],
)
def test_a_start_that_fails_is_one_message_and_exit_code_1(
    home: Path, script: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert up.main(home, ("-c", script)) == 1
    complaint = capsys.readouterr().err
    assert words in complaint
    assert "Traceback" not in complaint


def test_an_interrupted_start_stops_what_it_has_started(home: Path) -> None:
    interrupting = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(60)"
    script = "import sys; from pathlib import Path; from emulators import up\n"
    script += f"sys.exit(up.main(Path({str(home)!r}), ('-c', {interrupting!r})))"
    began = time.monotonic()
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")
    assert done.stdout.endswith("Interrupted; everything is stopped.\n")
    assert time.monotonic() - began < 30, "nobody waited for the keeper to end by itself"


def test_a_process_that_has_ended_but_is_not_buried_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = Process.of(process.pid)
    assert known.alive
    process.kill()
    assert gone([known], 5)  # nobody has waited for it: its entry is still there
    process.communicate()
    assert not Process.of(process.pid).alive


def test_one_that_does_not_listen_is_killed_and_its_children_are_known() -> None:
    deaf = "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)"
    script = f"{deaf}{child}; print('there', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        parent = Process.of(process.pid)
        (grandchild,) = descendants([parent])
        assert end([parent], 0.2) == [parent]
        assert process.wait(5) == -signal.SIGKILL
        assert end([grandchild], 0.2) == [grandchild]  # as deaf as its parent
        assert end([parent, grandchild], 0.2) == []


@pytest.mark.skipif(shutil.which("ps") is None, reason="there is no ps here, and /proc is enough")
def test_ps_knows_birth_and_parent_too(bystander: subprocess.Popen[bytes]) -> None:
    found = from_ps()
    assert found[bystander.pid][1] == os.getpid()
    assert found[bystander.pid][0]
    bystander.kill()
    assert gone([Process.of(bystander.pid)], 5)
    assert bystander.pid not in from_ps()


def test_without_proc_and_ps_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="neither works here"):
        from_ps()


def test_a_port_that_is_taken_is_passed_over() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        free = free_port()
        assert ui_port([port, free, port]) == free
        with pytest.raises(StackError, match=rf"None of the 2 ports from {port} on is free\."):
            ui_port([port, port])
        identity = Identity(ports={"s3": port})
        assert identity.port("s3") not in {0, port}
    assert identity.port("s3") == port


def test_a_stack_keeps_its_keys_to_itself(tmp_path: Path) -> None:
    new = Identity.of(tmp_path)
    assert Identity.of(tmp_path) != new
    new.keep(tmp_path)
    assert Identity.of(tmp_path) == new
    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600]


def test_a_query_without_a_stack_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert query.main([], tmp_path) == 2
    assert capsys.readouterr().err == "There is no stack here: make up starts one.\n"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_lake_table_and_prefect_go_on_where_they_were(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def trigger() -> None:
        environment = {"PREFECT_API_URL": f"{running(home).ui}/api", "PREFECT_HOME": str(tmp_path / "mine")}
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "deployment", "run", "amplitude-ingest/hourly", "--watch"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def rows_and_when_they_were_loaded() -> str:
        capsys.readouterr()
        hours = "SELECT export_hour, COUNT(*) AS events, MAX(loaded_at) AS loaded_at FROM events_raw"
        assert query.main([f"{hours} GROUP BY export_hour ORDER BY export_hour LIMIT 160"], home) == 0
        return capsys.readouterr().out

    assert up.main(home) == 0, capsys.readouterr().err
    page = httpx.get(f"{running(home).ui}/", headers={"accept": "text/html"}, follow_redirects=True)
    assert page.is_success
    assert "<title>Prefect" in page.text
    health = f"{running(home).ui}/api/health"
    for origin, answer in (("http://elsewhere.example", None), (running(home).ui, running(home).ui)):
        asked = httpx.get(health, headers={"origin": origin})
        assert asked.headers.get("access-control-allow-origin") == answer
    trigger()
    filled = rows_and_when_they_were_loaded()
    assert len(filled.splitlines()) == 1 + 160
    everybody = running(home).everybody.values()
    assert down.main(home) == 0
    assert not any(one.alive for one in everybody)

    assert up.main(home) == 0, capsys.readouterr().err
    trigger()
    assert rows_and_when_they_were_loaded() == filled
    completed = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    api = f"{running(home).ui}/api"
    assert httpx.post(f"{api}/flow_runs/count", json=completed).json() >= 2
    assert down.main(home) == 0
