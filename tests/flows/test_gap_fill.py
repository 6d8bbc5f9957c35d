from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core.errors import InvalidInput, RunFailed
from core.hours import ExportHour, ExportWindow
from core.lake.commit import commit_hour
from core.lake.layout import EVENTS
from core.lake.verdict import verdicts_of
from emulators.amplitude import Fault
from flows.command_line import run_gap_fill
from flows.gap_fill import gap_fill
from flows.ingest import ingest
from tests.core.lakes import write_parts
from tests.rehearsal import BUCKET, Rehearsal, hours_ago

pytestmark = pytest.mark.slow


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


def command(*arguments: str) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    consoles = (Console(file=out, width=200), Console(file=err, width=200, markup=False))
    code = run_gap_fill(gap_fill, list(arguments), consoles)
    return Ran(code, out.getvalue(), err.getvalue())


def execute(stage: Rehearsal, sql: str) -> None:
    assert stage.snowflake is not None
    connection = stage.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)


def test_holes_damaged_objects_and_lost_rows_are_all_mended_in_one_run(stage: Rehearsal) -> None:
    first, last = hours_ago(40), hours_ago(35)
    ingest(stage.name, start=hours_ago(39), end=last)
    client, lake = stage.s3.client(), stage.lake
    names = verdicts_of(lake.manifest_names(ExportHour.parse(first), ExportHour.parse(last)))
    gone, damaged = ExportHour.parse(hours_ago(38)), ExportHour.parse(hours_ago(37))
    for hour in (gone, damaged):
        content = names[hour].content
        assert content is not None
        keys = [part.key for part in lake.read_manifest(content).parts] if hour == damaged else [content.key]
        for key in keys:
            client.delete_object(Bucket=BUCKET, Key=f"amplitude/{key}")
    execute(stage, "DELETE FROM events_raw WHERE source_row > 3")

    gap_fill(stage.name, start=first, end=last)

    assert stage.rows() == stage.truth(first, last)
    parts = client.list_objects_v2(Bucket=BUCKET, Prefix=f"amplitude/{EVENTS}")["KeyCount"]
    assert parts == 6 * 2


def commit_early(stage: Rehearsal, folder: Path, hour: ExportHour, events: int) -> None:
    """Let an hour be in the lake as an export of long ago brought it."""
    body = b"".join(b'{"uuid":"%d of %s"}\n' % (number, str(hour).encode()) for number in range(events))
    commit_hour(
        stage.lake,
        hour,
        write_parts(folder, hour, [body]),
        app_id=stage.amplitude.source.app_id,
        api_host=stage.pipeline.amplitude.host,
        exported_at=hour.complete_at,
        window=ExportWindow(hour, hour),
        compression="none",
        uploads_at_once=1,
    )


def test_settling_verifying_and_accepting_are_done_as_the_parameters_say(
    stage: Rehearsal, tmp_path: Path
) -> None:
    stage.register(tuning={"verify_days": 0})
    hour = ExportHour.parse(hours_ago(40))
    held = len(stage.amplitude.source.lines(hour)) + 5
    commit_early(stage, tmp_path, hour, held)
    span: Any = {"start": str(hour), "end": str(hour)}

    gap_fill(stage.name, **span, settle=False)
    assert stage.amplitude.requests == []
    assert len(stage.rows()) == held

    with pytest.raises(RunFailed, match=f"held {held} events and, exported again"):
        gap_fill(stage.name, **span)
    assert len(stage.rows()) == held

    gap_fill(stage.name, **span, accept_smaller=True)
    assert stage.rows() == stage.truth(str(hour), str(hour))

    content = verdicts_of(stage.lake.manifest_names(hour, hour))[hour].content
    assert content is not None
    key = stage.lake.read_manifest(content).parts[0].key
    stage.s3.client().delete_object(Bucket=BUCKET, Key=f"amplitude/{key}")
    asked = len(stage.amplitude.requests)
    gap_fill(stage.name, **span)
    assert len(stage.amplitude.requests) == asked
    gap_fill(stage.name, **span, verify=True)
    assert stage.lake.stored_crc32(key) is not None


def test_lines_that_are_no_json_are_rejected_where_that_was_asked_for(
    stage: Rehearsal, tmp_path: Path
) -> None:
    hour = ExportHour.parse(hours_ago(40))
    commit_early(stage, tmp_path, hour, 3)
    (part,) = stage.lake.read_manifest(stage.lake.manifest_names(hour, hour)[0]).parts
    body = b'{"uuid":"one"}\n{"uuid": half\n{"uuid":"two"}\n'
    stage.s3.client().put_object(Bucket=BUCKET, Key=f"amplitude/{part.key}", Body=body)
    stage.register(tuning={"verify_days": 0})
    span: Any = {"start": str(hour), "end": str(hour), "settle": False}
    with pytest.raises(RunFailed, match=f"--reject-bad-lines {hour}"):
        gap_fill(stage.name, **span)

    gap_fill(stage.name, **span, reject_bad_lines=[str(hour)])

    assert sorted(row[0] for row in stage.rows()) == ["one", "two"]
    assert stage.query("SELECT line FROM events_rejected") == [('{"uuid": half',)]


def test_by_default_it_answers_for_everything_since_the_first_hour_wanted(stage: Rehearsal) -> None:
    first, last = hours_ago(30), hours_ago(0)
    stage.amplitude.faults.add(Fault("flipped-gzip", times=None, hours={ExportHour.parse(first)}))
    with pytest.raises(RunFailed, match=first):
        ingest(stage.name, start=first, end=last)
    with pytest.raises(RunFailed, match=first):
        gap_fill(stage.name)
    stage.amplitude.faults.clear()
    gap_fill(stage.name)
    assert stage.rows() == stage.truth(first, last)


def test_the_command_tells_what_it_did_and_what_it_would_do(stage: Rehearsal) -> None:
    first, last = hours_ago(30), hours_ago(28)
    would = command("--pipeline", stage.name, "--start", first, "--end", last, "--dry-run")
    assert (would.code, would.err) == (0, "")
    assert f"Export  3 hours missing: {first}" in would.out
    assert "A dry run: nothing was asked for, written or loaded." in would.out
    assert stage.amplitude.requests == []

    ran = command("--pipeline", stage.name, "--start", first, "--end", last)
    assert (ran.code, ran.err) == (0, "")
    assert "Lake and warehouse reconcile: 3 hours" in ran.out

    again = command("--pipeline", stage.name, "--start", first, "--end", last)
    assert "Export  nothing: no hour is missing" in again.out
    assert "By this run: 0 gunzipped, 0 committed, 0 loaded." in again.out

    up = command("--pipeline", stage.name, "--give-up", hours_ago(27), "--reason", "it is over 4 GB")
    assert up.code == 0
    assert (
        f"1 hour given up, and not asked for: {hours_ago(27)}\n  {hours_ago(27)}: it is over 4 GB" in up.out
    )
    back = command("--pipeline", stage.name, "--retry", hours_ago(27))
    assert back.code == 0
    assert stage.rows() == stage.truth(first, hours_ago(27))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--give-up", "2025-12-23T19"], "Giving an hour up needs a reason"),
        (["--reason", "none"], "A reason belongs to an hour"),
        (["--dry-run", "--accept-smaller"], "A dry run writes nothing"),
        (["--start", "2100-01-01T00"], "lies in the future"),
        ([], "No hour has been asked for yet"),
    ],
)
def test_what_cannot_be_ends_with_one_sentence_and_exit_code_2(
    lake_only: Rehearsal, arguments: list[str], said: str
) -> None:
    ran = command("--pipeline", lake_only.name, *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert lake_only.amplitude.requests == []


def test_without_a_warehouse_it_ends_at_the_lake(lake_only: Rehearsal) -> None:
    first, last = hours_ago(30), hours_ago(28)
    gap_fill(lake_only.name, start=first, end=last)
    names = lake_only.lake.manifest_names(ExportHour.parse(first), ExportHour.parse(last))
    assert sum(name.events for name in names) == len(lake_only.truth(first, last))


def test_an_hour_that_is_none_is_refused(lake_only: Rehearsal) -> None:
    with pytest.raises(InvalidInput, match="Not an export hour"):
        gap_fill(lake_only.name, give_up=["yesterday"], reason="why not")
