"""LIKE patterns of SHOW: `%` and `_`, any case."""

import re


def matches(pattern: str, name: str) -> bool:
    """Whether a name is like a pattern."""
    regex = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return re.fullmatch(regex, name, re.IGNORECASE | re.DOTALL) is not None
