"""A run's name in Prefect: what it is about, once that is known."""

from __future__ import annotations

import prefect.runtime.flow_run
from prefect.client.orchestration import get_client

from flows.opening import courtesy


def name_run(name: str) -> None:
    """Give the run of this flow a name: ``ingest 2025-12-23T00...T23``. Does nothing outside of a flow."""
    run_id = prefect.runtime.flow_run.id
    if run_id is None:
        return
    with courtesy("The run's name"), get_client(sync_client=True) as client:
        client.update_flow_run(run_id, name=name)
