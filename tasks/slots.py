"""Prefect's global concurrency limits: how many exports of one Amplitude project, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from blocks.amplitude import AmplitudeCredentials
from blocks.server import trouble_with_prefect
from core.errors import ExportUnavailable
from core.wording import duration

#: Amplitude names no limit for exports; its other reports allow five requests at once.
#: Source: https://amplitude.com/docs/apis/analytics/dashboard-rest
EXPORTS_AT_ONCE = 4

#: A process that was killed holds a slot no longer than this.
LEASE_SECONDS = 120
_LONGEST_WAIT_SECONDS = 3600.0


def ensure_limit(name: str, slots: int) -> None:
    """Make a limit if there is none of that name; one that somebody has set stays as it is."""
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            with suppress(ObjectAlreadyExists):  # another run has made it a moment ago
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=slots))


@contextmanager
def slot(name: str, slots: int, *, wait_seconds: float) -> Iterator[None]:
    """Hold one of ``slots`` for as long as the block takes, or the process lives.

    If the server forgets it meanwhile, or is gone when it is given back, the work goes on: limits spare
    others, and make nothing correct.

    Raises:
        TimeoutError: All of them were taken for that long.
        Exception: The server could not be asked, as :func:`blocks.server.trouble_with_prefect` tells.
    """
    ensure_limit(name, slots)
    done = False
    try:
        with concurrency(
            name,
            timeout_seconds=wait_seconds,
            lease_duration=LEASE_SECONDS,
            strict=True,  # without it a limit that is missing would let everybody pass
            raise_on_lease_renewal_failure=False,
        ):
            yield
            done = True
    except Exception as error:
        if not done or (trouble := trouble_with_prefect(error)) is None:
            raise
        get_run_logger().warning("%s was not given back, and is free again in a while: %s", name, trouble)


@contextmanager
def export_slot(
    amplitude: AmplitudeCredentials, wait_seconds: float = _LONGEST_WAIT_SECONDS
) -> Iterator[None]:
    """Hold one of the exports that this Amplitude project may have under way, over all runs and machines.

    Raises:
        ExportUnavailable: None was free for an hour, or Prefect's server could not be asked. Transient.
    """
    name = amplitude.export_limit
    with ExitStack() as held:
        try:
            held.enter_context(slot(name, EXPORTS_AT_ONCE, wait_seconds=wait_seconds))
        except TimeoutError:
            msg = (
                f"All exports that {name} allows were under way for {duration(wait_seconds)}. If none is: "
                f"prefect gcl update {name} --active-slots 0"
            )
            raise ExportUnavailable(msg) from None
        except Exception as error:
            if (trouble := trouble_with_prefect(error)) is None:
                raise
            msg = f"Whether another export may begin could not be asked. {trouble}"
            raise ExportUnavailable(msg) from None
        yield
