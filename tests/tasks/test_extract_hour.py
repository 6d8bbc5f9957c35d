from __future__ import annotations

import logging
from pathlib import Path

import pytest

from core.amplitude.archive import ArchiveLimits
from core.errors import DamagedMember
from core.unpacking import ExtractedHour
from tasks import extract_hour as module
from tasks.extract_hour import extract_hour
from tests.core.amplitude.archives import HOUR, LINES, gzipped
from tests.core.test_unpacking import exported
from tests.tasks.receipts import content, is_small


@pytest.fixture(autouse=True)
def _log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("a run"))
    caplog.set_level("INFO", "a run")


def extract(folder: Path, *payloads: bytes) -> ExtractedHour:
    timed = extract_hour.fn(exported(folder, *payloads), folder / "json", ArchiveLimits())
    extracted = content(timed)
    assert isinstance(extracted, ExtractedHour)
    assert is_small(extracted, 2_000)
    return extracted


def test_files_are_written_once_and_damaged_ones_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    payloads = gzipped(LINES), gzipped(b"{}\n")
    first = extract(tmp_path, *payloads)
    assert [path.read_bytes() for path in first.written] == [LINES, b"{}\n"]
    first.written[0].write_bytes(LINES[:-1])
    second = extract(tmp_path, *payloads)
    assert (second.written, second.kept) == (first.written[:1], first.written[1:])
    assert first.written[0].read_bytes() == LINES
    assert caplog.messages == [f"{HOUR}: 2 files written, 0 kept", f"{HOUR}: 1 file written, 1 kept"]


def test_a_damaged_member_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(DamagedMember):
        extract(tmp_path, gzipped(LINES)[:-3])
    assert list((tmp_path / "json").iterdir()) == []
