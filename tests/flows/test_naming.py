"""A run's name."""

from __future__ import annotations

import prefect.runtime.flow_run
import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from flows.naming import name_run


def test_outside_of_a_flow_there_is_nothing_to_name() -> None:
    name_run("ingest 2025-12-23T00...T23")


@pytest.mark.slow
def test_a_run_is_named_after_what_it_is_about() -> None:
    @flow
    def named() -> str:
        name_run("ingest 2025-12-23T00...T23")
        return str(prefect.runtime.flow_run.id)

    run_id = named()
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(run_id).name == "ingest 2025-12-23T00...T23"  # type: ignore[arg-type]
