"""The SQL, one statement a file. Values are bound by the connector; nothing is pasted into a text.

The texts never vary with what is asked for, so that Snowflake's result cache can recognise them.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"


def _read(stem: str) -> str:
    return (_FOLDER / f"{stem}.sql").read_text(encoding="utf-8").strip()


BEGIN = _read("begin")
COMMIT = _read("commit")
ROLLBACK = _read("rollback")
TAKE_LOCK = _read("take_lock")
READ_LOCK = _read("read_lock")
READ_TRANSACTION = _read("read_transaction")
READ_LEDGER = _read("read_ledger")
READ_LEDGER_GENERATION = _read("read_ledger_generation")
READ_CONTENTS = _read("read_contents")
DELETE_HOURS = _read("delete_hours")
COPY_PARTS = _read("copy_parts")
READ_REJECTED = _read("read_rejected")
DELETE_REJECTED = _read("delete_rejected")
COPY_LINES = _read("copy_lines")
DELETE_BLANK_LINES = _read("delete_blank_lines")
INSERT_GOOD_LINES = _read("insert_good_lines")
DELETE_GOOD_LINES = _read("delete_good_lines")
EXPLAIN_BAD_LINES = _read("explain_bad_lines")
MERGE_LEDGER = _read("merge_ledger")

#: What the stage stands on, and what lies in a schema; in the order of creation. The stage itself is
#: made by whoever sets up the storage integration.
CREATE_FILE_FORMATS = (_read("create_file_format"), _read("create_line_format"))
CREATE_TABLES = (
    _read("create_events_raw"),
    _read("create_events_rejected"),
    _read("create_load_ledger"),
    _read("create_load_lock"),
)
CREATE_VIEWS = (_read("create_events"), _read("create_events_unique"))


def create_statements() -> list[str]:
    """File formats, tables and views, in order. Safe to repeat: each creates only what is not there."""
    return [*CREATE_FILE_FORMATS, *CREATE_TABLES, *CREATE_VIEWS]
