"""What goes over the wire: one request, one answer, or a connection that is reset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True)
class Message:
    """One request.

    Args:
        target: Path and query as they came, percent-encoded: what the signature was made over.
        headers: Names in lower case; a repeated header's values joined by a comma.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def raw_path(self) -> str:
        """The path as it came, percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def raw_query(self) -> str:
        """The query as it came, without its question mark."""
        return self.target.partition("?")[2]

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's first values; a bare ``?policy`` is there with an empty value."""
        return dict(reversed(parse_qsl(self.raw_query, keep_blank_values=True)))

    @cached_property
    def bucket(self) -> str:
        """The first segment of the path (path-style addressing)."""
        return unquote(self.raw_path[1:].partition("/")[0])

    @cached_property
    def key(self) -> str:
        """The rest of the path: the object's key, or nothing."""
        return unquote(self.raw_path[1:].partition("/")[2])


@dataclass(slots=True)
class Answer:
    """One response. Content-Length, Date and Connection are the wire's own affair."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Hangup(Exception):
    """Answer nothing and reset the connection."""
