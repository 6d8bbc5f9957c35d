"""When a task is tried again: the same question that tenacity asks inside a call."""

from __future__ import annotations

import logging
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from core.errors import PipelineError, is_transient

#: Two further tries, for what a call's own retries, seconds apart, could not mend.
RETRIES = 2
JITTER_FACTOR = 1.0


def backoff(first_seconds: float) -> list[float]:
    """How long to wait before each further try: ``first_seconds``, then four times as long."""
    return [first_seconds, 4 * first_seconds]


BACKOFF_SECONDS = backoff(30)


def worth_retrying(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Whether another try could help. A plain function: Prefect takes nothing else."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and is_transient(error)


def quiet_expected_errors() -> None:
    """Let Prefect log an error of ours as one line: its message says it all, its traceback nothing more."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    if isinstance(record.exc_info, tuple) and isinstance(record.exc_info[1], PipelineError):
        record.exc_info = None
    return True
