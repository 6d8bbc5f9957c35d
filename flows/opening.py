"""What every flow begins with: the time, its pipeline, and how patient its tasks are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task, get_run_logger
from prefect.blocks.core import Block
from prefect.client.schemas.objects import State

from blocks.server import trouble_with_prefect
from core.errors import InvalidInput, PipelineError
from tasks.retries import backoff, quiet_expected_errors

P = ParamSpec("P")
R = TypeVar("R")
B = TypeVar("B", bound=Block)

quiet_expected_errors()


def utc_now() -> datetime:
    """The time, aware. Only flows read a clock; everything below is told."""
    return datetime.now(UTC)


def open_block(kind: type[B], name: str) -> B:
    """Load a block.

    Raises:
        InvalidInput: There is none of that name, or it does not fit this release. Permanent.
    """
    block = f"{kind.get_block_type_slug()} block {name!r}"
    try:
        return cast("B", kind.load(name))
    except ValueError as error:
        absent = str(error).startswith("Unable to find block document")
        what = f"There is no {block}: check its name and PREFECT_API_URL" if absent else _unreadable(block)
    except RuntimeError:  # it lacks a field, or holds what this release does not allow
        what = _unreadable(block)
    msg = f"{what}. Write .env and run: python -m blocks.register --name {name}"
    raise InvalidInput(msg)


def _unreadable(block: str) -> str:
    return f"The {block} does not fit this release"


@contextmanager
def courtesy(what: str) -> Iterator[None]:
    """Something for people to look at: if Prefect's server does not take it, the run goes on without."""
    try:
        yield
    except Exception as error:
        if (trouble := trouble_with_prefect(error)) is None:
            raise
        get_run_logger().warning("%s could not be shown. %s", what, trouble)


def patiently(task: Task[P, R], retry_seconds: float) -> Task[P, R]:
    """The task with other waits between its tries."""
    return task.with_options(retry_delay_seconds=backoff(retry_seconds))


def outcome(state: State[Any]) -> tuple[Any, PipelineError | None]:
    """What a task returned, or None and what it failed with if that is one of ours; else it is raised."""
    result: Any = state.result(raise_on_failure=False)
    if isinstance(result, PipelineError):
        return None, result
    if isinstance(result, BaseException):
        raise result
    return result, None
