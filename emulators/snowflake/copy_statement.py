"""COPY INTO <table>, read into its parts.

Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
"""

# ruff: noqa: EM101, EM102, TRY003 - what the service says stands where it is said

import re
from dataclasses import dataclass, field

from emulators.snowflake.errors import SqlError, compilation_error, invalid_parameter, invalid_value
from emulators.snowflake.lexer import Token, Value, Words, boolean_of, lex, text_of

MAX_FILES = 1000
_OPTIONS = {
    "FILES", "PATTERN", "FILE_FORMAT", "ON_ERROR", "FORCE", "VALIDATION_MODE", "PURGE", "SIZE_LIMIT",
    "RETURN_FAILED_ONLY", "ENFORCE_LENGTH", "TRUNCATECOLUMNS", "LOAD_UNCERTAIN_FILES", "MATCH_BY_COLUMN_NAME",
}  # fmt: skip
_BOOLEANS = (
    "FORCE", "PURGE", "RETURN_FAILED_ONLY", "ENFORCE_LENGTH", "TRUNCATECOLUMNS", "LOAD_UNCERTAIN_FILES",
)  # fmt: skip
_ON_ERROR = re.compile(r"ABORT_STATEMENT|CONTINUE|SKIP_FILE(_\d+%?)?", re.IGNORECASE)


@dataclass
class CopyStatement:
    """What to load, from where, into what.

    `select` is the text between SELECT and FROM, in Snowflake's SQL; None without a transformation.
    """

    table: tuple[str, ...]
    columns: list[str]
    stage: tuple[str, ...]
    path: str
    select: str | None = None
    options: dict[str, Value] = field(default_factory=dict)

    @property
    def files(self) -> list[str] | None:
        """FILES, or None if there is none."""
        value = self.options.get("FILES")
        return list(value) if isinstance(value, list) else None

    @property
    def on_error(self) -> str:
        """ON_ERROR in upper case."""
        return text_of(self.options.get("ON_ERROR"), "ABORT_STATEMENT").upper()

    @property
    def force(self) -> bool:
        """FORCE."""
        return boolean_of("FORCE", self.options.get("FORCE"))


def stage_reference(words: Words, sql: str) -> tuple[tuple[str, ...], str]:
    """Read `@name/path`, quoted or not: the stage's name and the path after it, without the first slash."""
    token = words.take()
    if token.kind == "string":
        inner = Words(lex(token.text.partition("/")[0]))
        inner.expect("@")
        return inner.name(), token.text.partition("/")[2]
    if token.word != "@":
        raise compilation_error(f"syntax error: a stage is expected at '{token.raw}'.")
    name = words.name()
    start = end = -1
    while (following := words.next) is not None and following.word not in {")", ";"}:
        if start < 0 and following.word != "/":
            break
        if start >= 0 and following.start != end:
            break
        start = following.start if start < 0 else start
        end = words.take().end
    return name, sql[start + 1 : end] if start >= 0 else ""


def _select(words: Words, sql: str) -> tuple[str, tuple[str, ...], str]:
    words.expect("SELECT")
    first: Token | None = words.next
    last: Token | None = None
    depth = 0
    while not (depth == 0 and words.peek() == "FROM"):
        last = words.take()
        depth += (last.word == "(") - (last.word == ")")
    if first is None or last is None:
        raise words.unexpected()
    words.expect("FROM")
    stage, path = stage_reference(words, sql)
    if words.accept("AS") or words.peek() not in {")", "("}:
        words.take()
    if words.accept("("):
        raise SqlError(603, "XX000", "a file format beside the stage of a COPY's SELECT is not emulated")
    words.expect(")")
    return sql[first.start : last.end], stage, path


def _check(options: dict[str, Value]) -> None:
    """See that every option is one, and has a value that it can have."""
    if unknown := options.keys() - _OPTIONS:
        raise invalid_parameter(min(unknown))
    for name in _BOOLEANS:
        boolean_of(name, options.get(name))
    on_error = options.get("ON_ERROR", "ABORT_STATEMENT")
    if not _ON_ERROR.fullmatch(text_of(on_error)):
        raise invalid_value("ON_ERROR", str(on_error))
    files = options.get("FILES", ["one"])
    if not isinstance(files, list) or not files:
        raise compilation_error("syntax error: FILES takes a list of at least one name.", 1003)


def parse_copy(sql: str) -> CopyStatement:
    """Read a COPY INTO <table>.

    Raises:
        SqlError: a syntax error, an unknown option or value, or more than 1,000 names in FILES.
    """
    words = Words(lex(sql))
    words.expect("COPY", "INTO")
    if words.peek() == "@":
        raise SqlError(603, "XX000", "COPY INTO a stage is not emulated")
    table = words.name()
    columns: list[str] = []
    if words.accept("("):
        while not words.accept(")"):
            columns.append(words.take().text)
            words.accept(",")
    words.expect("FROM")
    select = None
    if words.accept("("):
        select, stage, path = _select(words, sql)
    else:
        stage, path = stage_reference(words, sql)
    options = dict(words.settings())
    words.end()
    _check(options)
    made = CopyStatement(table, columns, stage, path, select, options)
    if made.files is not None and len(made.files) > MAX_FILES:
        # Documented as a limit; number and wording of the service's error are not confirmed.
        text = f"FILES holds {len(made.files)} names; at most {MAX_FILES} can be given."
        raise compilation_error(text, 1098, "22023")
    if select is not None and "VALIDATION_MODE" in options:
        raise compilation_error(
            "VALIDATION_MODE cannot be used with a COPY that transforms data.", 2340, "0A000"
        )
    return made
