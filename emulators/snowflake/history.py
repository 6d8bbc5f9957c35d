"""Load history: which file, in which content, a table already holds. COPY skips those.

Source: https://docs.snowflake.com/en/user-guide/data-load-considerations-load#load-metadata
"""

import datetime
import threading
from dataclasses import dataclass

KEPT_DAYS = 64


@dataclass(frozen=True)
class Loaded:
    """One file that a COPY loaded into one table."""

    table: str
    url: str
    etag: str
    loaded_at: datetime.datetime


class LoadHistory:
    """What has been committed. A transaction keeps its own entries until it commits.

    Guarantee: DELETE changes nothing here; TRUNCATE, and a table made anew, forget the table.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._loaded: dict[tuple[str, str], Loaded] = {}

    def commit(self, entries: list[Loaded]) -> None:
        """Keep a transaction's entries for good."""
        with self._guard:
            for entry in entries:
                self._loaded[entry.table, entry.url] = entry

    def holds(self, table: str, url: str, etag: str, now: datetime.datetime, pending: list[Loaded]) -> bool:
        """Whether the table holds this file in this content, in the last 64 days."""
        with self._guard:
            entries = [
                self._loaded.get((table, url)),
                *(e for e in pending if (e.table, e.url) == (table, url)),
            ]
        kept = now - datetime.timedelta(days=KEPT_DAYS)
        return any(entry and entry.etag == etag and entry.loaded_at >= kept for entry in entries)

    def entries(self) -> list[Loaded]:
        """Everything that is kept."""
        with self._guard:
            return list(self._loaded.values())

    def forget(self, table: str) -> None:
        """Forget a table, or all tables under a schema or database if the name ends in a dot."""
        with self._guard:
            for key in list(self._loaded):
                if key[0] == table or (table.endswith(".") and key[0].startswith(table)):
                    del self._loaded[key]
