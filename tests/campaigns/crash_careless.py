"""amplitude-ingest with a mistake: an hour's manifest is written before the parts that it names.

A run that is killed in between leaves an hour that looks whole. The campaign must find that:
``--ingest tests.campaigns.crash_careless --step "between parts"``.
"""

from __future__ import annotations

import sys
from typing import Any

from core.lake.commit import commit_hour
from core.lake.manifest import Manifest
from core.lake.store import Lake
from flows.command_line import run_ingest
from flows.ingest import ingest
from tasks import upload_hour


class ManifestFirst:
    """A lake whose parts wait for the manifest that names them."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._waiting: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lake, name)

    def put_part(self, *place: Any, **facts: Any) -> None:
        """Remember a part for later."""
        self._waiting.append((place, facts))

    def put_manifest(self, manifest: Manifest) -> None:
        """Commit the hour, and then bring what it consists of."""
        self._lake.put_manifest(manifest)
        for place, facts in self._waiting:
            self._lake.put_part(*place, **facts)


def commit_carelessly(lake: Lake, *what: Any, **facts: Any) -> Manifest:
    """Commit an hour, manifest first."""
    return commit_hour(ManifestFirst(lake), *what, **facts)  # type: ignore[arg-type]


if __name__ == "__main__":
    upload_hour.commit_hour = commit_carelessly  # type: ignore[attr-defined]
    sys.exit(run_ingest(ingest))
