"""Why Snowflake would not take an hour, and what helps; told apart inside this room only."""

from __future__ import annotations

from core.errors import LoadRefused
from core.hours import ExportHour

_FILE_NOT_FOUND, _NOT_DECOMPRESSED = 91016, 100033
_ABOUT_CONTENT = range(100_000, 101_000)
_SNOWFLAKE_S_ADVICE = " If you would like to continue loading"  # by ON_ERROR, which would lose lines


class LinesRefused(LoadRefused):
    """A file holds lines that Snowflake cannot read. The others can be loaded without them. Permanent."""


class FileDiffers(LoadRefused):
    """A file is missing, damaged, or holds another number of events than its manifest says. Permanent."""


def refusal(number: int, said: str) -> LoadRefused:
    """The error for what COPY complained of.

    Args:
        number: Snowflake's, 0 if it gave none.
    """
    said = said.partition(_SNOWFLAKE_S_ADVICE)[0]
    if number in {_FILE_NOT_FOUND, _NOT_DECOMPRESSED}:
        return FileDiffers(said)
    return LinesRefused(said) if number in _ABOUT_CONTENT else LoadRefused(said)


def with_remedy(error: LoadRefused, hour: ExportHour, *, tolerant: bool) -> str:
    """What was refused, and the command that helps.

    Args:
        tolerant: Whether bad lines were allowed already; then the remedy for them is none.
    """
    give_up = f"--give-up {hour} --reason TEXT"
    if isinstance(error, LinesRefused) and not tolerant:
        return f"{error} To load the rest: python -m flows.gap_fill --reject-bad-lines {hour}"
    if isinstance(error, FileDiffers):
        span = f"--start {hour} --end {hour}"
        return f"{error} To export it again: python -m flows.gap_fill {span} --verify (or {give_up})"
    if isinstance(error, LinesRefused):
        return f"{error} To do without it: python -m flows.gap_fill {give_up}"
    return f"{error} Nothing of it was loaded; the next run tries again."
