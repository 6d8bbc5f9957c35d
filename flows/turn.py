"""One run of a kind at a time: not for safety, but so that none does what another one is doing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from prefect import get_run_logger

from blocks.server import trouble_with_prefect
from tasks.slots import slot


@contextmanager
def turn(kind: str, pipeline: str, wait_seconds: float) -> Iterator[None]:
    """Wait for other runs of this kind over a pipeline, then go on whether they have ended or not.

    Runs beside one another are safe, but export the same hours; a plan that is made after the wait leaves out
    what the others have brought. The turn of a run that was killed ends within minutes. If it does not, since
    the Prefect server was restarted and keeps leases in memory, every run waits, and goes on.

    Args:
        kind: ``ingest`` or ``gap-fill``.
        pipeline: Name of the block.
        wait_seconds: How long, at most; 0: no turns are taken.
    """
    with ExitStack() as held:
        try:
            if wait_seconds:
                held.enter_context(slot(f"amplitude-{kind}-{pipeline}", 1, wait_seconds=wait_seconds))
        except TimeoutError:
            told = "Another %s of %s is still at work; this one goes on beside it."
            get_run_logger().warning(told, kind, pipeline)
        except Exception as error:
            if (trouble := trouble_with_prefect(error)) is None:
                raise
            get_run_logger().warning(
                "Whose turn it is could not be asked, so nobody is waited for. %s", trouble
            )
        yield
