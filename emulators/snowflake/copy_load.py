"""COPY INTO <table>, carried out: choose the files, fetch them, read them, insert their rows, report.

Files come over boto3 into a temporary folder, several at a time, and are gone when the statement ends. The
rows go to DuckDB as Arrow tables, in one INSERT, inside the session's transaction.
"""

import datetime
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa

from emulators.snowflake.copy_statement import CopyStatement
from emulators.snowflake.copy_transform import SCAN_INSTANT
from emulators.snowflake.errors import SqlError
from emulators.snowflake.objects import FileFormat, Stage
from emulators.snowflake.records import Problem, Records, read_records, unpack
from emulators.snowflake.results import Result, rows_of
from emulators.snowflake.s3 import Lake, RemoteFile
from emulators.snowflake.text_lines import read_lines

_FETCH_AHEAD = 6
_COLUMNS = (
    "file", "status", "rows_parsed:fixed", "rows_loaded:fixed", "error_limit:fixed", "errors_seen:fixed",
    "first_error", "first_error_line:fixed", "first_error_character:fixed", "first_error_column_name",
)  # fmt: skip
_GONE = (
    "If you are running a copy command, please make sure files are not deleted when they are being loaded or "
    "files are not being loaded into two different tables concurrently with auto purge option."
)
_CAUSES = (
    "There are several potential causes. The file might not exist. "
    "The required credentials may be missing or invalid."
)


@dataclass
class Outcome:
    """What became of one file."""

    url: str
    status: str = "LOADED"
    parsed: int = 0
    loaded: int = 0
    limit: int = 1
    errors: int = 0
    first: Problem | None = None
    column: str | None = None


@dataclass
class Plan:
    """The files of a COPY: those to load, and outcomes that are settled already."""

    files: list[RemoteFile] = field(default_factory=list)
    settled: list[Outcome] = field(default_factory=list)


def _under(stage: Stage, path: str) -> str:
    prefix = stage.prefix if not stage.prefix or stage.prefix.endswith("/") else stage.prefix + "/"
    return prefix + path


def select_files(copy: CopyStatement, stage: Stage, lake: Lake) -> Plan:
    """Find the files that a COPY names, in its order, or those under its path that match its pattern.

    Raises:
        SqlError: 091016, when a named one is missing and errors abort the statement.
    """
    plan = Plan()
    if copy.files is None:
        pattern = copy.options.get("PATTERN")
        for one in lake.list(stage.bucket, _under(stage, copy.path)):
            relative = one.key.removeprefix(stage.prefix)
            if pattern is None or any(re.fullmatch(str(pattern), name) for name in (relative, one.key)):
                plan.files.append(one)
        return plan
    folder = _under(stage, copy.path)
    folder = folder if not folder or folder.endswith("/") else folder + "/"
    names = list(dict.fromkeys(copy.files))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: lake.find(stage.bucket, folder + name), names))
    for name, file in zip(names, found, strict=True):
        url = f"s3://{stage.bucket}/{folder}{name}"
        if file is not None:
            plan.files.append(file)
        elif copy.on_error == "ABORT_STATEMENT":
            raise SqlError(91016, "22000", f"Remote file '{url}' was not found. {_GONE}")
        else:
            problem = Problem(f"Remote file '{url}' was not found. {_CAUSES} {_GONE}", 0, 0, 0)
            plan.settled.append(Outcome(url, "LOAD_FAILED", errors=1, first=problem))
    return plan


def read_files(
    files: list[RemoteFile], file_format: FileFormat, lake: Lake
) -> Iterator[tuple[RemoteFile, Records]]:
    """Fetch and read files in order, fetching a few ahead. Leaves nothing on the disk."""
    read = {"JSON": read_records, "CSV": read_lines}.get(file_format.kind)
    if read is None:
        raise SqlError(
            603, "XX000", f"files of TYPE = {file_format.kind} are not emulated, only JSON and CSV"
        )

    with (
        tempfile.TemporaryDirectory(prefix="snowflake-copy-") as folder,
        ThreadPoolExecutor(_FETCH_AHEAD) as pool,
    ):

        def fetch(number: int, file: RemoteFile) -> Path:
            target = Path(folder) / str(number)
            lake.fetch(file, target)
            return target

        waiting = iter([(file, number) for number, file in enumerate(files)])
        running = [(file, pool.submit(fetch, number, file)) for file, number in islice(waiting, _FETCH_AHEAD)]
        while running:
            file, fetched = running.pop(0)
            target = fetched.result()
            for following, number in islice(waiting, 1):
                running.append((following, pool.submit(fetch, number, following)))
            data = unpack(target.read_bytes(), file_format)
            target.unlink()
            yield file, read(data, file_format)


def as_table(
    file: RemoteFile,
    records: Records,
    started: datetime.datetime,
    zone: datetime.tzinfo,
    file_format: FileFormat,
) -> pa.Table:
    """A file's records with the metadata columns that a COPY can read.

    Args:
        started: when the COPY began, aware.
        zone: the session's. The start is a TIMESTAMP_LTZ, and stands here twice: as the wall clock in this
            zone, which it is as TIMESTAMP_NTZ, and as the instant.
    """
    count = len(records.texts)
    storage = pa.array(records.texts, type=pa.large_binary()).cast(pa.large_string())
    json = pa.json_(pa.large_utf8())  # DuckDB takes it for JSON as it is
    texts = pa.ExtensionArray.from_storage(json, storage) if file_format.kind == "JSON" else storage

    def same(value: object, kind: pa.DataType) -> pa.Array:
        return pa.repeat(pa.scalar(value, type=kind), count)

    modified = file.last_modified.astimezone(datetime.UTC).replace(tzinfo=None)
    moment = pa.timestamp("us")
    return pa.table(
        {
            "_C1": texts,
            "METADATA$FILENAME": same(file.key, pa.string()),
            "METADATA$FILE_ROW_NUMBER": pa.array(records.rows, type=pa.int64()),
            "METADATA$FILE_CONTENT_KEY": same(file.etag, pa.string()),
            "METADATA$FILE_LAST_MODIFIED": same(modified, moment),
            "METADATA$START_SCAN_TIME": same(started.astimezone(zone).replace(tzinfo=None), moment),
            SCAN_INSTANT: same(started, pa.timestamp("us", tz="UTC")),
        }
    )


def judge(
    copy: CopyStatement, file: RemoteFile, records: Records, column: str, file_format: FileFormat
) -> Outcome:
    """Decide what becomes of a file that was read.

    Of a file of JSON with a bad record, the records before it are loaded where errors are passed over, and
    the remainder is skipped.

    Raises:
        SqlError: 100069, when a record is bad and errors abort the statement.
    """
    if file_format.kind == "JSON" and copy.on_error not in {"ABORT_STATEMENT", "SKIP_FILE"}:
        records.cut_at_first_problem()
    problems = records.problems
    made = Outcome(file.url, parsed=records.parsed, loaded=len(records.texts), errors=len(problems))
    if problems:
        made.first, made.column = problems[0], column
    if not problems:
        made.limit = max(records.parsed, 1) if copy.on_error == "CONTINUE" else 1
        return made
    if copy.on_error == "CONTINUE":
        made.limit = max(records.parsed, 1)
        made.status = "PARTIALLY_LOADED" if made.loaded else "LOAD_FAILED"
        return made
    if copy.on_error.startswith("SKIP_FILE"):
        limit = copy.on_error.removeprefix("SKIP_FILE").strip("_")
        share = len(problems) * 100 / records.parsed if limit.endswith("%") else len(problems)
        made.limit = int(limit.rstrip("%") or 1)
        made.status = "PARTIALLY_LOADED" if share < made.limit else "LOAD_FAILED"
        if made.status == "LOAD_FAILED":
            made.loaded = 0
        return made
    problem = problems[0]
    raise SqlError(
        100144 if problem.message.startswith("Invalid UTF8") else 100069,
        "22P02",
        f"{problem.message}\n  File '{file.key}', line {problem.line}, character {problem.character}\n"
        f"  Row {problem.row}, column {column}\n  If you would like to continue loading when an error is "
        "encountered, use other values such as 'SKIP_FILE' or 'CONTINUE' for the ON_ERROR option.",
    )


def report(outcomes: list[Outcome]) -> Result:
    """COPY's answer: a row for each file, or the one line that says there was nothing to do."""
    if not outcomes:
        return rows_of(["status"], [["Copy executed with 0 files processed."]])
    return rows_of(
        _COLUMNS,
        [
            [
                one.url, one.status, one.parsed, one.loaded, one.limit, one.errors,
                one.first.message if one.first else None,
                (one.first.line or None) if one.first else None,
                (one.first.character or None) if one.first else None,
                one.column,
            ]
            for one in outcomes
        ],
    )  # fmt: skip


def report_errors(found: list[tuple[RemoteFile, Problem]], column: str) -> Result:
    """The answer to VALIDATION_MODE = RETURN_ERRORS: a row for each bad record."""
    columns = ["error", "file", "line:fixed", "character:fixed", "category", "code:fixed", "sql_state"]
    columns += ["column_name", "row_number:fixed", "rejected_record"]
    return rows_of(
        columns,
        [
            [p.message, file.key, p.line, p.character, "parsing", 100069, "22P02", column, p.row,
             p.rejected.decode(errors="replace")]
            for file, p in found
        ],
    )  # fmt: skip
