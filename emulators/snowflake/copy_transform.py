"""The SELECT that transforms what a COPY loads: what it may say, and its columns in DuckDB's words.

Stricter than the service in two places, on purpose: DISTINCT, of which the documentation warns, and functions
of the moment or the session (CURRENT_TIMESTAMP, CURRENT_USER, UUID_STRING), whose values it does not promise.

Source: https://docs.snowflake.com/en/user-guide/data-load-transform
"""

# ruff: noqa: EM102, TRY003 - what the service says stands where it is said

from collections.abc import Iterator

from fakesnow.dialect import parse_one
from sqlglot import Expr, exp

from emulators.snowflake.errors import SqlError, compilation_error
from emulators.snowflake.lexer import Token, lex

#: A part of the documented ones; what is missing here is refused and never run on good luck.
_FUNCTION_NAMES = """
    ARRAY_CONSTRUCT ARRAY_SIZE ASCII CAST CEIL CHAR CHECK_JSON CHR CONCAT CONVERT_TIMEZONE ENDSWITH EQUAL_NULL
    FLOOR GET GET_PATH GREATEST IFF IFNULL IS_ARRAY IS_BOOLEAN IS_INTEGER IS_NULL_VALUE IS_OBJECT IS_VARCHAR
    LEAST LEFT LENGTH LOWER LTRIM MD5 MD5_HEX NULLIF NVL NVL2 OBJECT_CONSTRUCT PARSE_JSON REGEXP_REPLACE
    REGEXP_SUBSTR REPLACE RIGHT RTRIM SPLIT SPLIT_PART STARTSWITH SUBSTR SUBSTRING TO_ARRAY TO_BOOLEAN TO_CHAR
    TO_DATE TO_DECIMAL TO_DOUBLE TO_NUMBER TO_NUMERIC TO_OBJECT TO_TIME TO_TIMESTAMP TO_TIMESTAMP_LTZ
    TO_TIMESTAMP_NTZ TO_TIMESTAMP_TZ TO_VARCHAR TO_VARIANT TRIM TRUNC TRY_CAST TRY_PARSE_JSON TRY_TO_BOOLEAN
    TRY_TO_DATE TRY_TO_DECIMAL TRY_TO_DOUBLE TRY_TO_NUMBER TRY_TO_NUMERIC TRY_TO_TIME TRY_TO_TIMESTAMP
    TRY_TO_TIMESTAMP_LTZ TRY_TO_TIMESTAMP_NTZ TRY_TO_TIMESTAMP_TZ TYPEOF UPPER ZEROIFNULL
"""
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
#: Words that a bracket may follow without being called.
_BEFORE_BRACKETS = {"AND", "AS", "BETWEEN", "CASE", "ELSE", "IN", "IS", "LIKE", "NOT", "OR", "THEN", "WHEN"}
_CALLED_WITHOUT_BRACKETS = frozenset(
    {"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_USER", "LOCALTIME", "LOCALTIMESTAMP"}
)
_NOT_SIMPLE = (exp.Window, exp.Query, exp.Star, exp.Distinct, exp.AggFunc, exp.Lateral)
_METADATA = frozenset(
    f"METADATA${name}"
    for name in ("FILENAME", "FILE_ROW_NUMBER", "FILE_CONTENT_KEY", "FILE_LAST_MODIFIED", "START_SCAN_TIME")
)


#: The column with the instant behind METADATA$START_SCAN_TIME.
SCAN_INSTANT = "_SCAN_INSTANT"
_SCAN_TIME = "METADATA$START_SCAN_TIME"
_INSTANTS = {exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.TIMESTAMPLTZ}


def read_transformation(text: str) -> list[Expr]:
    """The expressions between SELECT and FROM, in Snowflake's SQL, without their aliases.

    Raises:
        SqlError: 001026, for more than a simple SELECT; 002303, for a function that is not supported there.
    """
    for name in _calls(lex(text)):
        if name not in _FUNCTIONS:
            # That functions are refused is documented; number and words are not confirmed.
            raise compilation_error(f"Function {name} not supported within a COPY.", 2303, "0A000")
    parsed = parse_one(f"SELECT {text}")
    if not isinstance(parsed, exp.Select) or any(
        value for key, value in parsed.args.items() if key != "expressions"
    ):
        raise _not_simple()
    items = [item.this if isinstance(item, exp.Alias) else item for item in parsed.expressions]
    if any(isinstance(node, _NOT_SIMPLE) for item in items for node in item.walk()):
        raise _not_simple()
    return items


def from_source(node: Expr) -> Expr:
    """A column of the staged file as the column of the Arrow table that it was read into.

    Raises:
        SqlError: 000904, for a name that is neither `$1` nor a metadata column.
    """
    if isinstance(node, exp.Cast) and node.to.this in _INSTANTS and _is_scan_time(node.this):
        return exp.Cast(this=exp.column(exp.to_identifier(SCAN_INSTANT, quoted=True)), to=node.to)
    if isinstance(node, exp.Parameter):
        if node.name != "1":
            raise compilation_error(f"JSON files have one column, $1, not ${node.name}.", 2019, "0A000")
        return exp.column(exp.to_identifier("_C1", quoted=True))
    if isinstance(node, exp.Column):
        if node.name.upper() in _METADATA:
            return exp.column(exp.to_identifier(node.name.upper(), quoted=True))
        if isinstance(node.this, exp.Parameter) and node.this.name == "1":  # t.$1
            return exp.column(exp.to_identifier("_C1", quoted=True))
        raise compilation_error(f"error line 1 at position 0\ninvalid identifier '{node.name}'", 904)
    return node


def _is_scan_time(node: Expr) -> bool:
    return isinstance(node, exp.Column) and node.name.upper() == _SCAN_TIME


def _not_simple() -> SqlError:
    return compilation_error(
        "COPY statement only supports simple SELECT from stage statements for import.", 1026
    )


def _calls(tokens: list[Token]) -> Iterator[str]:
    """The functions that are called, as they are written: sqlglot reads COALESCE and NVL as the same."""
    for place, token in enumerate(tokens):
        before = tokens[place - 1].word if place else ""
        opened = place + 1 < len(tokens) and tokens[place + 1].word == "("
        if token.kind not in {"word", "quoted"} or before in {":", ".", "::"}:  # a key, or a type
            continue
        if opened and before == "AS" and token.word:  # CAST(… AS NUMBER(38, 0))
            continue
        called = token.word not in _BEFORE_BRACKETS if opened else token.word in _CALLED_WITHOUT_BRACKETS
        if called and (opened or before != "AS"):
            yield token.text
