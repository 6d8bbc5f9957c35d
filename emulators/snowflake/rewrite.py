"""What fakesnow leaves as it is and DuckDB would read otherwise, rewritten before fakesnow sees it."""

import datetime
from collections.abc import Mapping

from sqlglot import Expr, exp

_FORMATS = (
    ("YYYY", "%Y"), ("HH24", "%H"), ("FF9", "%n"), ("FF6", "%f"), ("FF3", "%g"), ("FF", "%n"), ("YY", "%y"),
    ("MM", "%m"), ("DD", "%d"), ("MI", "%M"), ("SS", "%S"), ("HH12", "%I"), ("AM", "%p"), ("PM", "%p"),
)  # fmt: skip
_SEMI_STRUCTURED = {exp.DataType.Type.VARIANT, exp.DataType.Type.OBJECT, exp.DataType.Type.ARRAY}
_NTZ = {exp.DataType.Type.TIMESTAMPNTZ, exp.DataType.Type.TIMESTAMP}
_TRY_TIMESTAMPS = {"TRY_TO_TIMESTAMP", "TRY_TO_TIMESTAMP_NTZ"}


def _strftime(pattern: str) -> str:
    made, place = "", 0
    while place < len(pattern):
        if pattern[place] == '"':
            end = pattern.find('"', place + 1)
            end = len(pattern) if end < 0 else end
            made += pattern[place + 1 : end]
            place = end + 1
            continue
        for word, code in _FORMATS:
            if pattern[place : place + len(word)].upper() == word:
                made, place = made + code, place + len(word)
                break
        else:
            made, place = made + pattern[place].replace("%", "%%"), place + 1
    return made


def _timestamp() -> exp.DataType:
    # A plain TIMESTAMP would be taken for epoch seconds by fakesnow's own macro, and TRY_ would be lost.
    return exp.DataType(this=exp.DataType.Type.USERDEFINED, kind="TIMESTAMP")


def _moment(node: Expr, now: datetime.datetime) -> Expr | None:
    if not isinstance(node, exp.CurrentTimestamp):
        return None
    local = exp.Cast(
        this=exp.Literal.string(now.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")),
        to=_timestamp(),
    )
    if node.args.get("sysdate"):
        return local
    return exp.Cast(this=local, to=exp.DataType(this=exp.DataType.Type.TIMESTAMPTZ))


def _context(node: Expr, context: Mapping[str, str | None]) -> Expr | None:
    name = (
        node.name.upper()
        if isinstance(node, exp.Anonymous)
        else node.sql_name()
        if isinstance(node, exp.Func)
        else ""
    )
    if name not in context or (isinstance(node, exp.Anonymous) and node.expressions):
        return None
    value = context[name]
    return exp.Null() if value is None else exp.Literal.string(value)


def _try_timestamp(node: Expr) -> Expr | None:
    """TRY_TO_TIMESTAMP without a format, or with AUTO: the service finds out, and so does DuckDB's cast."""
    if isinstance(node, exp.Anonymous) and node.name.upper() in _TRY_TIMESTAMPS:
        return exp.TryCast(this=node.expressions[0], to=_timestamp())
    if isinstance(node, exp.StrToTime) and node.args.get("safe") and node.args["format"].name == "AUTO":
        return exp.TryCast(this=node.this, to=_timestamp())
    return None


def _cast(node: exp.Cast) -> Expr | None:
    kind = node.to.this
    if kind in _SEMI_STRUCTURED and isinstance(node.this, exp.JSONExtract):
        return node.this.copy()
    if kind in _NTZ:
        return type(node)(this=node.this, to=_timestamp())
    return None


def rewrite(expression: Expr, context: Mapping[str, str | None], now: datetime.datetime) -> Expr:
    """Rewrite one statement.

    Args:
        expression: as sqlglot reads Snowflake's SQL; changed in place.
        context: values of CURRENT_ROLE() and its like.
        now: the statement's start. SYSDATE() and CURRENT_TIMESTAMP() become this moment, as on Snowflake,
            except where the statement only defines something (CREATE).
    """

    def change(node: Expr) -> Expr:
        made: Expr | None = None
        if isinstance(node, exp.Cast):
            made = _cast(node)
        elif isinstance(node, exp.ToChar) and isinstance(node.args.get("format"), exp.Literal):
            pattern = exp.Literal.string(_strftime(node.args["format"].this))
            made = exp.Anonymous(this="STRFTIME", expressions=[node.this, pattern])
        elif (moment := _try_timestamp(node)) is not None:
            made = moment
        elif isinstance(node, exp.CurrentTimestamp) and not isinstance(expression, exp.Create):
            made = _moment(node, now)
        elif isinstance(node, exp.Func):
            made = _context(node, context)
        return node if made is None else made

    for node in reversed(list(expression.walk())):  # the inner ones first
        made = change(node)
        if made is not node and node is not expression:
            node.replace(made)
    return expression
