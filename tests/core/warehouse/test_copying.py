"""What COPY says of each file is held against the lake; over a session that is a table of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from core.warehouse.copying import copy_files
from core.warehouse.refusals import FileDiffers
from core.warehouse.session import Answer, Session
from tests.core.warehouse.examples import HOUR, file, to_load

LAKE = "s3://lake/amplitude/"


def row(number: int = 0, rows: int = 1, status: str = "LOADED") -> dict[str, Any]:
    return {"file": LAKE + file(number), "status": status, "rows_loaded": rows}


class Answers:
    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = rows
        self.asked: list[Mapping[str, Any]] = []

    def run(self, sql: str, values: Mapping[str, Any], *, attempt: str, reads_files: bool) -> Answer:
        assert reads_files
        assert attempt == f"load {len(values['files'])} files of today"
        self.asked.append(values)
        return Answer(list(self.rows), 0)


def copy(answers: Answers, *events: int, as_lines: bool = False, **values: Any) -> None:
    session = cast("Session", answers)
    copy_files(
        session, "COPY", [to_load(*events)], lake_url=LAKE, span="today", values=values, as_lines=as_lines
    )


def test_files_that_were_loaded_as_the_lake_counts_them_are_well() -> None:
    copy(Answers(row(0, 3), row(1, 4)), 3, 4)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([], "nothing was said of it"),
        ([{"status": "Copy executed with 0 files processed."}], "nothing was said of it"),
        ([row(1, 3)], "nothing was said of it"),
        ([row(0, 2)], "LOADED, 2 rows"),
        ([row(0, 4)], "LOADED, 4 rows"),
        ([row(0, 0, "LOAD_SKIPPED")], "LOAD_SKIPPED, 0 rows"),
        ([row(0, 3, "PARTIALLY_LOADED")], "PARTIALLY_LOADED, 3 rows"),
    ],
)
def test_anything_else_is_refused_with_the_file_s_name(said: list[dict[str, Any]], found: str) -> None:
    with pytest.raises(FileDiffers) as refused:
        copy(Answers(*said), 3)
    assert f"{file(0)} has 3 events; {found}." in str(refused.value)


def test_of_lines_there_may_be_more_than_events_and_never_fewer() -> None:
    copy(Answers(row(0, 4)), 3, as_lines=True)
    copy(Answers(row(0, 3)), 3, as_lines=True)
    with pytest.raises(FileDiffers, match="LOADED, 2 rows"):
        copy(Answers(row(0, 2)), 3, as_lines=True)


def test_a_statement_names_a_thousand_files_at_most_and_none_without_events() -> None:
    answers = Answers(*(row(number) for number in range(2001)))
    copy(answers, *([1] * 2001), 0, digest="d")
    assert [len(values["files"]) for values in answers.asked] == [1000, 1000, 1]
    assert [values["digest"] for values in answers.asked] == ["d"] * 3
    assert file(2001) not in answers.asked[-1]["files"]


def test_nothing_is_asked_where_there_is_nothing_to_load() -> None:
    nothing = Answers()
    copy(nothing, 0)
    copy_files(cast("Session", nothing), "COPY", [], lake_url=LAKE, span=str(HOUR))
    assert nothing.asked == []
