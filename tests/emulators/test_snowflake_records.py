"""JSON as COPY reads it, statements as words, locks as lines: no server needed."""

import gzip
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.snowflake.copy_statement import parse_copy
from emulators.snowflake.errors import SqlError
from emulators.snowflake.lexer import Value, lex
from emulators.snowflake.locks import TableLocks
from emulators.snowflake.objects import FileFormat
from emulators.snowflake.records import read_records, unpack
from emulators.snowflake.text_lines import read_lines

LINES = FileFormat(kind="JSON", multi_line=False, allow_duplicate=True)
_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), _VALUES, max_size=4), max_size=5), st.booleans())
def test_every_record_comes_back_as_it_was(events: list[dict[str, object]], ascii_only: bool) -> None:
    data = "\n".join(json.dumps(event, ensure_ascii=ascii_only) for event in events).encode()
    records = read_records(data, LINES)
    assert not records.problems
    assert [json.loads(text) for text in records.texts] == events
    assert records.rows == list(range(1, len(events) + 1))


def test_text_is_kept_to_the_letter() -> None:
    line = b'{"b": 1,"a":123456789012345678901234567890.50, "u":"\\u00e9"}'
    assert read_records(line + b"\r\n\n", LINES).texts == [line]


def test_the_last_of_duplicate_keys_stays_at_any_depth() -> None:
    records = read_records(b'{"a":{"k":1,"k":2},"\\u0061":3}', LINES)
    assert json.loads(records.texts[0]) == {"a": 3}
    refused = read_records(b'{"x":[{"k":1,"k":2}]}', FileFormat(kind="JSON", multi_line=False))
    assert 'duplicate object attribute "k"' in refused.problems[0].message


def test_broken_utf8_is_an_error_unless_it_shall_be_replaced() -> None:
    line = b'{"a":"\xff"}'
    assert "Invalid UTF8" in read_records(line, LINES).problems[0].message
    lenient = LINES.changed({"REPLACE_INVALID_CHARACTERS": "TRUE"})
    assert json.loads(read_records(line, lenient).texts[0]) == {"a": "\ufffd"}


@pytest.mark.parametrize("bad", [b'{"a":NaN}', b'{"a":1}{"b":2}', b'{"a":', b"{'a':1}", b'{"a":\t"\x01"}'])
def test_what_is_not_json_is_a_problem_with_its_line(bad: bytes) -> None:
    records = read_records(b'{"n":1}\n\n' + bad + b'\n{"n":3}', LINES)
    assert [(p.line, p.row) for p in records.problems] == [(3, 2)]
    assert records.rows == [1, 3]


def test_options_strip_arrays_nulls_and_the_byte_order_mark() -> None:
    stripping = LINES.changed({"STRIP_OUTER_ARRAY": "TRUE", "STRIP_NULL_VALUES": "TRUE"})
    records = read_records(b'\xef\xbb\xbf[{"a":null,"b":1},{"c":{"d":null}}]', stripping)
    assert [json.loads(text) for text in records.texts] == [{"b": 1}, {"c": {}}]


def test_compression_is_what_the_format_says() -> None:
    packed = gzip.compress(b"{}")
    assert unpack(packed, LINES) == b"{}"
    assert unpack(packed, LINES.changed({"COMPRESSION": "NONE"})) == packed
    with pytest.raises(SqlError):
        unpack(packed[:-6], LINES)


def test_words_know_strings_comments_and_names() -> None:
    tokens = lex("select 'it''s \\'x\\' -- no' /* c */ \"Qu\"\"oted\", $1 -- end\n;")
    assert [token.text for token in tokens] == ["SELECT", "it's 'x' -- no", 'Qu"oted', ",", "$1"]


def test_a_copy_is_read_into_its_parts() -> None:
    copy = parse_copy(
        "COPY INTO db.s.t (a, b) FROM (SELECT t.$1:x, (METADATA$FILENAME) FROM @db.s.lake/sub-dir/x=1/ t) "
        "FILES = ('a', 'b') FORCE = TRUE ON_ERROR = 'skip_file' FILE_FORMAT = (FORMAT_NAME = 'j')"
    )
    assert copy.table == ("DB", "S", "T")
    assert copy.select == "t.$1:x, (METADATA$FILENAME)"
    assert (copy.stage, copy.path) == (("DB", "S", "LAKE"), "sub-dir/x=1/")
    assert (copy.files, copy.force, copy.on_error) == (["a", "b"], True, "SKIP_FILE")
    with pytest.raises(SqlError):
        parse_copy("COPY INTO t FROM (SELECT $1 FROM @lake WHERE $1:a = 1)")


def test_locks_go_to_waiters_in_turn_and_refuse_the_twenty_first() -> None:
    locks, got = TableLocks(), []
    locks.acquire("d.s.T", 1, "q1", 0)

    def wait(owner: int) -> None:
        locks.acquire("d.s.T", owner, f"q{owner}", 20)
        got.append(owner)
        locks.release(owner)

    threads = []
    for owner in range(2, 22):
        threads.append(threading.Thread(target=wait, args=(owner,)))
        threads[-1].start()
        while locks.waiters("T") < owner - 1:
            pass
    with pytest.raises(SqlError, match="number of waiters") as caught:
        locks.acquire("d.s.T", 99, "q99", 20)
    assert caught.value.errno == 625
    locks.release(1)
    for thread in threads:
        thread.join(20)
    assert got == list(range(2, 22))


WHOLE_LINES = FileFormat(kind="CSV").changed(
    {
        "FIELD_DELIMITER": "NONE", "ESCAPE_UNENCLOSED_FIELD": "NONE", "NULL_IF": [],
        "EMPTY_FIELD_AS_NULL": "FALSE", "SKIP_BLANK_LINES": "TRUE",
    }
)  # fmt: skip


def test_lines_are_text_with_their_numbers_and_blank_ones_are_none() -> None:
    records = read_lines(b'\xef\xbb\xbf{"a":\n\n \r\n"x", \\N', WHOLE_LINES)
    assert records.texts == [b'{"a":', b" \r", b'"x", \\N']
    assert records.rows == [1, 2, 3]


def test_broken_utf8_in_a_line_is_an_error_unless_it_shall_be_replaced() -> None:
    strict = read_lines(b"a\n\xff\nb", WHOLE_LINES)
    assert ([problem.row for problem in strict.problems], strict.rows) == ([2], [1, 3])
    lenient = WHOLE_LINES.changed({"REPLACE_INVALID_CHARACTERS": "TRUE"})
    assert read_lines(b"\xff", lenient).texts == ["\ufffd".encode()]


@pytest.mark.parametrize(
    "setting",
    [
        {"FIELD_DELIMITER": ","},
        {"RECORD_DELIMITER": "|"},
        {"SKIP_HEADER": "1"},
        {"FIELD_OPTIONALLY_ENCLOSED_BY": '"'},
        {"ESCAPE": "\\"},
        {"ESCAPE_UNENCLOSED_FIELD": "\\"},
        {"NULL_IF": ["\\N"]},
        {"EMPTY_FIELD_AS_NULL": "TRUE"},
        {"TRIM_SPACE": "TRUE"},
        {"SKIP_BLANK_LINES": "FALSE"},
    ],
)
def test_a_format_that_would_do_more_with_a_line_is_not_emulated(setting: dict[str, Value]) -> None:
    with pytest.raises(SqlError, match="only whole lines"):
        read_lines(b"a", WHOLE_LINES.changed(setting))
    read_lines(b"a", WHOLE_LINES)


def test_what_follows_the_first_bad_record_can_be_forgotten() -> None:
    records = read_records(b'{"n":1}\n{"n":\n{"n":3}\n{"n":', LINES)
    assert (records.rows, len(records.problems)) == ([1, 3], 2)
    records.cut_at_first_problem()
    assert (records.rows, len(records.problems)) == ([1], 1)
