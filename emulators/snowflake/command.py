"""One command with its header read: verb, kind, and the words that follow."""

from collections.abc import Callable
from dataclasses import dataclass

from emulators.snowflake.lexer import Words
from emulators.snowflake.results import Result
from emulators.snowflake.session import Session


@dataclass
class Command:
    """A statement such as CREATE OR REPLACE STAGE …; `words` stands behind its kind."""

    session: Session
    sql: str
    verb: str
    kind: str
    words: Words
    replace: bool

    def if_not_exists(self) -> bool:
        """Read IF NOT EXISTS, if it is there."""
        return self.words.accept("IF", "NOT", "EXISTS")

    def if_exists(self) -> bool:
        """Read IF EXISTS, if it is there."""
        return self.words.accept("IF", "EXISTS")

    def like(self) -> str:
        """Read LIKE '<pattern>' of a SHOW, if it is there; otherwise `%`."""
        return self.words.take().text if self.words.accept("LIKE") else "%"


Handler = Callable[[Command], Result]
