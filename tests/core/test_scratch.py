"""A run's folder on the local disk: gone when the run is, and nobody else's."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.errors import BrokenAnswer, ScratchUnusable, is_transient
from core.scratch import discard, disk_errors, scratch_folder, sweep

HOUSE = Path(__file__).parents[2]

FULL = Path("/dev/full")
needs_a_full_disk = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")

#: A run that works in its folder until it is killed.
RUN = """
import sys
from pathlib import Path
from core.scratch import scratch_folder

with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "half.json").write_text("{")
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def neighbour(root: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process's run, and its folder."""
    command = [sys.executable, "-c", RUN, str(root)]
    with subprocess.Popen(
        command, cwd=HOUSE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


# The folder


def test_the_folder_is_new_and_gone_at_the_end(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "part.json").write_bytes(b"{}\n")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_gone_after_an_error_and_the_error_is_not(tmp_path: Path) -> None:
    with pytest.raises(BrokenAnswer), scratch_folder(tmp_path):
        raise BrokenAnswer
    assert list(tmp_path.iterdir()) == []


def test_two_folders_at_once_are_two(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as one, scratch_folder(tmp_path) as other:
        assert one != other
        assert one.is_dir()
        assert other.is_dir()


def test_the_root_is_made_if_it_is_not_there(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "a" / "b") as folder:
        assert folder.parent == tmp_path / "a" / "b"


def test_without_a_root_it_is_the_system_s_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_folder() as folder:
        assert folder.parent == tmp_path


def test_a_root_that_cannot_hold_a_folder_is_named(tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.write_text("not a folder")
    with pytest.raises(ScratchUnusable, match=str(root)), scratch_folder(root):
        pass


# Sweeping


@pytest.mark.slow
def test_a_killed_run_s_folder_is_swept_and_a_living_neighbour_s_is_not(tmp_path: Path) -> None:
    with neighbour(tmp_path) as (process, folder):
        assert sweep(tmp_path) == []
        assert (folder / "half.json").exists()

        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (folder / "half.json").exists()  # nothing but a sweep removes it
        assert sweep(tmp_path) == [folder]
        assert not folder.exists()


@pytest.mark.slow
def test_the_next_run_sweeps_what_killed_runs_left(tmp_path: Path) -> None:
    with neighbour(tmp_path) as (process, folder):
        process.send_signal(signal.SIGKILL)
        process.wait()
    with scratch_folder(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]
    assert not folder.exists()


def test_a_run_s_own_process_does_not_sweep_it(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        assert sweep(tmp_path) == []
        assert folder.is_dir()


def test_a_folder_that_is_about_to_be_locked_is_left_alone(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        newborn = tmp_path / folder.name.replace(folder.name[-4:], "born")
    newborn.mkdir()
    assert sweep(tmp_path) == []
    assert newborn.is_dir()


def test_a_neighbour_that_sweeps_while_a_folder_is_being_locked_takes_it_from_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Path] = []

    def flock(file: Any, operation: int) -> None:
        monkeypatch.undo()
        swept.extend(sweep(tmp_path))  # the neighbour is a moment faster
        fcntl.flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with scratch_folder(tmp_path) as folder:
        assert folder.is_dir()
        assert sweep(tmp_path) == []


def test_a_folder_whose_lock_cannot_be_opened_is_left_alone(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        name = folder.name
    (tmp_path / name / ".in-use").mkdir(parents=True)
    assert sweep(tmp_path) == []
    assert (tmp_path / name).is_dir()


def test_what_is_not_a_run_s_is_not_swept(tmp_path: Path) -> None:
    (tmp_path / "somebody's").mkdir()
    (tmp_path / "somebody's" / ".in-use").touch()
    assert sweep(tmp_path) == []
    assert (tmp_path / "somebody's").is_dir()


def test_there_may_be_nothing_to_sweep(tmp_path: Path) -> None:
    assert sweep(tmp_path / "never made") == []


# Discarding


def test_files_and_folders_are_discarded_once_or_twice(tmp_path: Path) -> None:
    file = tmp_path / "20251223T19-20251223T19.zip"
    folder = tmp_path / "2025-12-23T19"
    file.touch()
    folder.mkdir()
    (folder / "part.json").touch()
    for _ in range(2):
        discard([file, folder])
        assert list(tmp_path.iterdir()) == []


# The disk's errors


@needs_a_full_disk
def test_a_full_disk_says_so_and_what_to_do() -> None:
    with (
        pytest.raises(ScratchUnusable) as refused,
        disk_errors("gunzip 2025-12-23T19"),
        FULL.open("wb", buffering=0) as file,
    ):
        file.write(b"{}")
    message = str(refused.value)
    assert "full" in message
    assert "gunzip 2025-12-23T19" in message
    assert "Make room" in message
    assert not is_transient(refused.value)
    assert isinstance(refused.value.__cause__, OSError)


def test_a_quota_that_is_used_up_is_a_full_disk() -> None:
    with pytest.raises(ScratchUnusable, match="full"), disk_errors("gunzip 2025-12-23T19"):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def test_another_trouble_with_the_disk_names_the_file_and_is_no_full_disk(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "part.json"
    with pytest.raises(ScratchUnusable, match="No such file") as refused, disk_errors("gunzip 2025-12-23T19"):
        missing.open("wb")
    assert str(missing) in str(refused.value)
    assert "full" not in str(refused.value)


@pytest.mark.parametrize("error", [BrokenAnswer("broke off"), ValueError("a bug"), KeyboardInterrupt()])
def test_errors_that_are_not_the_disk_s_stay_what_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as seen, disk_errors("gunzip 2025-12-23T19"):
        raise error
    assert seen.value is error


def test_a_disk_without_trouble_is_none() -> None:
    with disk_errors("gunzip 2025-12-23T19"):
        pass
