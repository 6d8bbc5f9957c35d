"""JSON files as COPY reads them: records in order, with their numbers, and what is wrong with the others.

A record's bytes stay as they are in the file, so numbers of any size, key order and escapes survive; only
what the file format asks for (nulls stripped, duplicate keys, broken UTF-8) has a record written anew.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-file-format#type-json
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import orjson

from emulators.snowflake.errors import SqlError
from emulators.snowflake.objects import FileFormat

MAX_VARIANT_BYTES = 128 * 1024 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Problem:
    """One record that could not be read: its text, line and character from 1, record number from 1."""

    message: str
    line: int
    character: int
    row: int
    rejected: bytes = b""


@dataclass
class Records:
    """What a file holds: `texts[i]` is valid JSON in UTF-8 and has the number `rows[i]`, from 1."""

    texts: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def parsed(self) -> int:
        """How many records were seen, good and bad."""
        return len(self.texts) + len(self.problems)

    def cut_at_first_problem(self) -> None:
        """Forget what follows the first bad record, as COPY does with JSON where errors do not abort it."""
        self.problems = self.problems[:1]
        for problem in self.problems:
            kept = [(text, row) for text, row in zip(self.texts, self.rows, strict=True) if row < problem.row]
            self.texts, self.rows = [text for text, _ in kept], [row for _, row in kept]


class _Bad(ValueError):
    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


def unpack(data: bytes, file_format: FileFormat) -> bytes:
    """A file's plain bytes, decompressed as the format says; AUTO recognises gzip by its first bytes.

    Raises:
        SqlError: 100033, when it is not what the format says; 000603 for a compression not emulated.
    """
    kind = file_format.compression
    if kind not in {"AUTO", "GZIP", "NONE"}:
        raise SqlError(603, "XX000", f"COMPRESSION = {kind} is not emulated")
    if kind == "GZIP" or (kind == "AUTO" and data[:2] == b"\x1f\x8b"):
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise SqlError(
                100033, "22000", f"Invalid data encountered during decompression: {error}"
            ) from error
    return data


def _refuse_constant(word: str) -> NoReturn:
    message = f'unknown keyword "{word}"'
    raise _Bad(message)


def _pairs(file_format: FileFormat) -> Any:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs) and not file_format.allow_duplicate:
            seen: set[str] = set()
            name = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            message = f'duplicate object attribute "{name}"'
            raise _Bad(message)
        if file_format.strip_null_values:
            return {key: value for key, value in made.items() if value is not None}
        return made

    return build


def _decoder(file_format: FileFormat) -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_pairs(file_format), parse_constant=_refuse_constant)


def _text(raw: bytes, file_format: FileFormat) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if file_format.replace_invalid_characters or file_format.ignore_utf8_errors:
            return raw.decode(errors="replace")
        wrong = "".join(f"0x{byte:02X}" for byte in raw[error.start : error.end])
        message = f"Invalid UTF8 detected in string '{wrong}'"
        raise _Bad(message, error.start) from error


def _dump(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _SURROGATE.sub("\ufffd", text).encode()


def _carefully(raw: bytes, file_format: FileFormat) -> list[bytes]:
    """Records of one text with exactly one document, slowly, by every rule of the format."""
    text = _text(raw, file_format)
    try:
        value = _decoder(file_format).decode(text)
    except json.JSONDecodeError as error:
        raise _Bad(_wording(error, text), error.pos) from error
    return _outer(value, file_format)


def _wording(error: json.JSONDecodeError, text: str) -> str:
    if error.pos >= len(text.rstrip()):
        return "incomplete object value"
    if error.msg == "Extra data":
        return "more than one document in the input"
    word = re.match(r"[\w/.-]+", text[error.pos :])
    return f'unknown keyword "{word[0]}"' if word and error.msg == "Expecting value" else error.msg.lower()


def _outer(value: Any, file_format: FileFormat) -> list[bytes]:
    if file_format.strip_outer_array and isinstance(value, list):
        return [_dump(item) for item in value]
    return [_dump(value)]


def _one(raw: bytes, file_format: FileFormat) -> list[bytes]:
    """Records of one document: itself, unchanged, where nothing in it needs care."""
    if len(raw) > MAX_VARIANT_BYTES:
        message = f"document is too large, max size {MAX_VARIANT_BYTES} bytes"
        raise _Bad(message)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _carefully(raw, file_format)
    # Fewer keys after parsing than in the text means that one came twice.
    same_keys = raw.count(b'":') == orjson.dumps(value).count(b'":') and b"\\u0022" not in raw
    if not same_keys or file_format.strip_null_values or (file_format.strip_outer_array and raw[:1] == b"["):
        return _carefully(raw, file_format)
    return [raw]


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        if stripped := line.strip(b" \t\r"):
            yield number, stripped


def _documents(data: bytes, file_format: FileFormat, records: Records) -> None:
    """Documents one after another, over as many lines as they like."""
    text = _text(data, file_format)
    decoder = _decoder(file_format)
    place = 0
    while True:
        place += len(text[place:]) - len(text[place:].lstrip()) if text[place : place + 1].isspace() else 0
        if place >= len(text):
            return
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise _Bad(_wording(error, text), error.pos) from error
        for made in _outer(value, file_format):
            records.texts.append(made)
            records.rows.append(records.parsed)


def read_records(data: bytes, file_format: FileFormat) -> Records:
    """All records of a file; a bad one is a problem and not an error."""
    if file_format.skip_byte_order_mark and data.startswith(BYTE_ORDER_MARK):
        data = data[len(BYTE_ORDER_MARK) :]
    records = Records()
    for number, line in _lines(data):
        try:
            for made in _one(line, file_format):
                records.texts.append(made)
                records.rows.append(records.parsed)
        except _Bad as error:
            records.problems.append(_problem(error, number, error.position + 1, records.parsed + 1, line))
    if not (file_format.multi_line and records.problems):
        return records
    records = Records()
    try:
        _documents(data, file_format, records)
    except _Bad as error:
        before = data[: error.position]
        number = before.count(b"\n") + 1
        character = error.position - (before.rfind(b"\n") + 1) + 1
        records.problems.append(_problem(error, number, character, records.parsed + 1, b""))
    return records


def _problem(error: _Bad, line: int, character: int, row: int, rejected: bytes) -> Problem:
    text = str(error)
    if not text.startswith("Invalid UTF8"):
        text = f"Error parsing JSON: {text}, pos {error.position}"
    return Problem(text, line, character, row, rejected)
