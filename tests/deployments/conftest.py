"""One site for all of the long tests: it takes half a minute to set up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deployments.site import Site, built


@pytest.fixture(scope="package")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with built(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def site(_site: Site) -> Iterator[Site]:
    """What :mod:`tests.deployments.site` tells; blocks are loaded from its server."""
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: _site.environment["PREFECT_API_URL"]}):
        yield _site
        # It would go on sending to this server what later tests tell another one.
        EventsWorker.drain_all(timeout=10, at_exit=False)
