"""Words of a statement, for the commands that no SQL parser here understands.

Strings are unescaped as Snowflake does it (`''`, and backslash), comments are dropped, unquoted names are in
upper case. Every token knows its place in the text, so that a piece of a statement can be cut out unchanged.
"""

# ruff: noqa: EM101, EM102, TRY003 - what the service says stands where it is said

import re
from collections.abc import Iterator
from dataclasses import dataclass

from emulators.snowflake.errors import SqlError, compilation_error, invalid_value

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|//[^\n]*|/\*.*?\*/)
  | (?P<string>'(?:[^'\\]|''|\\.)*')
  | (?P<dollar>\$\$.*?\$\$)
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<word>[\w$]+)
  | (?P<symbol>::|[^\s\w])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}


@dataclass(frozen=True)
class Token:
    """One word: `kind` is string, quoted, word or symbol; `text` is its value, `raw` as it was written."""

    kind: str
    text: str
    raw: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The token in upper case, if it is a bare word or a symbol; otherwise empty."""
        return self.text if self.kind in {"word", "symbol"} else ""


def _unescape(found: re.Match[str]) -> str:
    character: str | None = found[1]
    return "'" if character is None else _CONTROLS.get(character, character)


def lex(sql: str) -> list[Token]:
    """Cut a statement into tokens, without comments and white space."""
    tokens: list[Token] = []
    position = 0
    while position < len(sql):
        found = _TOKEN.match(sql, position)
        if found is None or found.lastgroup is None:
            raise compilation_error(f"parse error near '{sql[position : position + 20]}'")
        kind, raw = found.lastgroup, found[0]
        text = raw
        if kind == "string":
            text = _ESCAPE.sub(_unescape, raw[1:-1])
        elif kind == "dollar":
            kind, text = "string", raw[2:-2]
        elif kind == "quoted":
            text = raw[1:-1].replace('""', '"')
        elif kind == "word":
            text = raw.upper()
        if kind != "space":
            tokens.append(Token(kind, text, raw, position, found.end()))
        position = found.end()
    while tokens and tokens[-1].word == ";":
        tokens.pop()
    return tokens


class Words:
    """A reader over the tokens of one statement.

    Guarantee: nothing is skipped silently; what is not understood raises a syntax error that names the word.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0

    @property
    def next(self) -> Token | None:
        """The token to come, or None at the end."""
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def peek(self, offset: int = 0) -> str:
        """The bare word at an offset from here, upper case; empty if there is none."""
        place = self._position + offset
        return self._tokens[place].word if place < len(self._tokens) else ""

    def take(self) -> Token:
        """The next token, whatever it is."""
        if self.next is None:
            raise compilation_error("syntax error: unexpected '<EOF>'.", 1003)
        self._position += 1
        return self._tokens[self._position - 1]

    def accept(self, *words: str) -> bool:
        """Take these bare words if they come next, all of them or none."""
        if all(self.peek(offset) == word for offset, word in enumerate(words)):
            self._position += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        """Take these bare words, or raise a syntax error."""
        if not self.accept(*words):
            raise self.unexpected()

    def unexpected(self) -> SqlError:
        """Make the syntax error for the word that comes next."""
        found = self.next
        place = f" position {found.start} unexpected '{found.raw}'" if found else " unexpected '<EOF>'"
        return compilation_error(f"syntax error line 1 at{place}.", 1003)

    def end(self) -> None:
        """Check that nothing is left."""
        if self.next is not None:
            raise self.unexpected()

    def name(self) -> tuple[str, ...]:
        """A name of one to three parts, as stored: upper case unless it was quoted."""
        parts: list[str] = []
        while True:
            token = self.take()
            if token.kind == "string":
                parts.extend(part.upper() for part in token.text.split("."))
            elif token.kind in {"word", "quoted"}:
                parts.append(token.text)
            else:
                self._position -= 1
                raise self.unexpected()
            if not self.accept("."):
                return tuple(parts)

    def value(self) -> "Value":
        """A setting's value: a word or string, or a parenthesised list or set of settings."""
        if not self.accept("("):
            sign = "-" if self.accept("-") else ""
            text = sign + self.take().text
            while self.accept("."):
                text += "." + self.take().text
            return text
        if self._position + 1 < len(self._tokens) and self.peek(1) == "=":
            settings = dict(self.settings())
            self.expect(")")
            return settings
        items: list[str] = []
        if self.accept(")"):
            return items
        items.append(self.take().text)
        while self.accept(","):
            items.append(self.take().text)
        self.expect(")")
        return items

    def settings(self) -> Iterator[tuple[str, "Value"]]:
        """The `KEY = value` settings up to the end or a closing bracket; commas between them are optional."""
        while self.next is not None and self.peek() != ")":
            token = self.take()
            if token.kind != "word" or not self.accept("="):
                self._position -= 1
                raise self.unexpected()
            yield token.text, self.value()
            self.accept(",")


Value = str | list[str] | dict[str, "Value"]


def text_of(value: Value | None, default: str = "") -> str:
    """A setting as plain text."""
    return value if isinstance(value, str) else default


def boolean_of(name: str, value: Value | None, *, default: bool = False) -> bool:
    """A setting as a boolean.

    Raises:
        SqlError: 001008, for anything but TRUE and FALSE.
    """
    if value is None:
        return default
    if text_of(value).upper() not in {"TRUE", "FALSE"}:
        raise invalid_value(name, str(value))
    return text_of(value).upper() == "TRUE"
