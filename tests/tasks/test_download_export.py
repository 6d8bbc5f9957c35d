from __future__ import annotations

import logging
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger
from pydantic import SecretStr

from blocks import AmplitudeCredentials
from core.amplitude.archive import ArchiveLimits
from core.errors import ExportRefused, ScratchUnusable
from emulators.amplitude import AmplitudeEmulator, EventSource, Fault
from tasks import download_export as module
from tasks.download_export import download_export
from tests.tasks.conftest import NOW, WANTED, Passage
from tests.tasks.receipts import content, is_small

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

LIMITS = ArchiveLimits()


def credentials(emulator: AmplitudeEmulator, secret: str | None = None) -> AmplitudeCredentials:
    return AmplitudeCredentials(
        api_key=SecretStr(emulator.auth[0]),
        secret_key=SecretStr(secret or emulator.auth[1]),
        base_url=emulator.url,
    )


def test_a_window_is_fetched_and_sorted_into_hours(passage: Passage) -> None:
    exported = content(passage.receipts["download_export"])
    assert [hour.hour for hour in exported.hours] == list(WANTED)
    assert {hour.exported_at for hour in exported.hours} == {NOW}
    assert [len(hour.members) for hour in exported.hours] == [2, 2]
    assert (exported.requests, exported.failures) == (1, {})
    (archive,) = exported.archives
    assert archive.parent == passage.scratch
    assert archive.stat().st_size == exported.size_bytes
    assert is_small(exported, 4_000)


def test_one_line_says_how_much_came(passage: Passage) -> None:
    size = content(passage.receipts["download_export"]).size_bytes
    assert passage.lines["download_export"] == [f"{WANTED}: {size / 1e6:.1f} MB in 1 request"]


def test_wrong_keys_are_refused_and_leave_nothing_on_disk(tmp_path: Path) -> None:
    with AmplitudeEmulator() as emulator, disable_run_logger():
        with pytest.raises(ExportRefused, match="403") as raised:
            download_export.fn(WANTED, credentials(emulator, "wrong-secret"), LIMITS, tmp_path, lambda: NOW)
        assert len(emulator.requests) == 1
    assert "wrong-secret" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_beyond_the_limits_fails_its_hours(tmp_path: Path) -> None:
    limits = ArchiveLimits(max_members=1)
    with AmplitudeEmulator(EventSource(events_per_hour=5)) as emulator, disable_run_logger():
        timed = download_export.fn(WANTED, credentials(emulator), limits, tmp_path, lambda: NOW)
    assert list(content(timed).failures) == list(WANTED)


def test_a_disk_that_refuses_is_told_from_amplitude(tmp_path: Path) -> None:
    with (
        AmplitudeEmulator(EventSource(events_per_hour=5)) as emulator,
        disable_run_logger(),
        pytest.raises(ScratchUnusable, match=f"Could not download {WANTED}"),
    ):
        download_export.fn(WANTED, credentials(emulator), LIMITS, tmp_path / "gone", lambda: NOW)


def test_a_member_that_is_passed_over_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("a run"))
    caplog.set_level("INFO", "a run")
    with AmplitudeEmulator(EventSource(events_per_hour=5)) as emulator:
        emulator.faults.add(Fault("stranger", name="100011471/_complete"))
        download_export.fn(WANTED, credentials(emulator), LIMITS, tmp_path, lambda: NOW)
    assert len(caplog.messages) == 2
    assert "_complete', which holds no events" in caplog.messages[0]
