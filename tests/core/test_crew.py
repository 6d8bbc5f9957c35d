"""What the conveyor relies on, of whoever does its jobs."""

from __future__ import annotations

import inspect
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from core.crew import Crew, FolderCrew, LakeCrew
from core.errors import LakeRefused, LakeUnavailable
from core.timing import Span, Timed
from flows.crew import FolderTasks, LakeTasks
from tests.core.crews import TRIES, ThreadJob, Threads, tried


@pytest.mark.parametrize(
    ("crew", "promise"),
    [(Threads, LakeCrew), (Threads, FolderCrew), (LakeTasks, LakeCrew), (FolderTasks, FolderCrew)],
)
def test_both_crews_do_all_that_is_expected(crew: type, promise: type) -> None:
    """Types say so as well; here it is the names of what is handed over."""
    methods = [name for kind in (promise, Crew) for name, _ in inspect.getmembers(kind, inspect.isfunction)]
    for name in {name for name in methods if not name.startswith("_")}:
        asked = list(inspect.signature(getattr(promise, name)).parameters)
        assert list(inspect.signature(getattr(crew, name)).parameters) == asked


def test_a_job_s_outcome_is_told_and_never_raised() -> None:
    done: Future[Any] = Future()
    done.set_result(Timed(7, Span(0, 1)))
    failed: Future[Any] = Future()
    failed.set_exception(LakeRefused("no"))
    assert ThreadJob(done).outcome() == Timed(7, Span(0, 1))
    assert isinstance(ThreadJob(failed).outcome(), LakeRefused)


def test_jobs_come_back_in_the_order_in_which_they_end() -> None:
    first_may_end = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        crew: Any = Threads.as_completed
        slow = ThreadJob(pool.submit(lambda: Timed("slow", Span(0, float(first_may_end.wait(10))))))
        quick = ThreadJob(pool.submit(lambda: Timed("quick", Span(0, 1))))
        order = []
        for job in crew(None, [slow, quick]):
            order.append(job)
            first_may_end.set()
    assert order == [quick, slow]


def test_what_is_transient_is_tried_as_often_as_a_task_does_and_nothing_else_is() -> None:
    from tasks.retries import RETRIES

    for error, times in ((LakeUnavailable("busy"), RETRIES + 1), (LakeRefused("no"), 1)):
        tries: list[None] = []

        def work(error: Exception = error, tries: list[None] = tries) -> None:
            tries.append(None)
            raise error

        with pytest.raises(type(error)):
            tried(work)
        assert len(tries) == times
    assert TRIES == RETRIES + 1
