"""No secret is anywhere on the server but in its block documents, nor in a log or a file of a machine.

Prefect's API tells what its database holds. So the whole dump is searched, and every file of the site.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.deployments.site import INGEST, Site, wait_for
from tests.rehearsal import hours_ago

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

KEYS = ("AMP_API_KEY", "AMP_SECRET_KEY", "AWS_SECRET_KEY")


def secrets_of(variables: dict[str, str]) -> dict[str, str]:
    """By name: keys, each line of a private key, and what HTTP makes of Amplitude's two."""
    found = {name: variables[name] for name in KEYS}
    user = f"{variables['AMP_API_KEY']}:{variables['AMP_SECRET_KEY']}"
    found["Authorization"] = base64.b64encode(user.encode()).decode()
    lines = variables["SNOWFLAKE_PRIVATE_KEY"].split("\\n")
    return found | {f"line {number}": line for number, line in enumerate(lines) if len(line) > 60}


def database_password(site: Site) -> str:
    return site.database.url.split(":")[2].split("@")[0]


def seen(wanted: dict[str, str], text: str) -> set[str]:
    return {name for name, secret in wanted.items() if secret in text}


def seen_at(site: Site, wanted: dict[str, str]) -> dict[str, set[str]]:
    """Which of them are in the database in clear, and in which files: logs, results, scratch."""
    files = {str(one): one.read_bytes().decode("utf-8", "replace") for one in files_of(site)}
    texts = {"the database": site.database.dump()} | files
    return {place: found for place, text in texts.items() if (found := seen(wanted, text))}


def files_of(site: Site) -> list[Path]:
    return [one for one in site.folder.rglob("*") if one.is_file()]


def block_documents(site: Site, *, include_secrets: bool) -> str:
    asked = {"include_secrets": include_secrets}
    return site.api.post("/block_documents/filter", json=asked).raise_for_status().text


#: What of the API the claim is about.
PLACES = ("parameter", "job variable", "state message", "log", "artifact", "variable", "event")


def plant(site: Site) -> dict[str, str]:
    """Put a made-up secret into every place that the claim is about, through the API; where each is."""
    place = {one: secrets.token_urlsafe(24) + "+/=" for one in (*PLACES, "file")}

    def post(path: str, body: Any) -> Any:
        return site.api.post(path, json=body).raise_for_status().json()

    (flow,) = post("/flows/filter", {"flows": {"name": {"any_": ["amplitude-ingest"]}}})
    run = post(
        "/flow_runs/",
        {
            "flow_id": flow["id"],
            "parameters": {"pipeline": place["parameter"]},
            "job_variables": {"env": {"KEY": place["job variable"]}},
            "state": {"type": "CANCELLED", "message": place["state message"]},
        },
    )
    now = datetime.now(UTC).isoformat()
    log = {"name": "prefect", "level": 20, "message": place["log"], "timestamp": now}
    site.api.post("/logs/", json=[{**log, "flow_run_id": run["id"]}]).raise_for_status()
    post("/artifacts/", {"key": "planted", "type": "markdown", "data": f"# A page\n{place['artifact']}"})
    post("/variables/", {"name": "planted", "value": {"key": place["variable"]}})
    event = {"event": "planted", "occurred": now, "id": str(uuid4()), "payload": {"key": place["event"]}}
    event["resource"] = {"prefect.resource.id": "planted"}
    site.api.post("/events", json=[event]).raise_for_status()
    (site.folder / "planted").write_text(place["file"], "utf-8")
    return place


def test_no_secret_is_on_the_server_but_in_its_blocks_nor_in_a_log_or_file(site: Site) -> None:
    stage, first = site.stage, hours_ago(8)
    wrong = {"AMP_SECRET_KEY": secrets.token_urlsafe(24), "AWS_SECRET_KEY": secrets.token_urlsafe(24)}
    pipelines = [
        stage.register(name.lower().replace("_", "-"), {"settle_hours": 0}, **{name: key})
        for name, key in wrong.items()
    ]
    site.forget(first)
    with site.machines[0]:  # errors are where secrets come out: each door refuses a key once
        asked = {"start": first, "end": first}
        runs = [site.trigger(INGEST, **asked, pipeline=one) for one in ("amplitude", *pipelines)]
        ends = [site.end_of(run, seconds=180) for run in runs]
    assert [end["type"] for end in ends] == ["COMPLETED", "FAILED", "FAILED"], ends
    right, others = secrets_of(stage.variables), secrets_of({**stage.variables, **wrong})
    wanted = right | {f"wrong {name}": one for name, one in others.items() if one != right[name]}
    assert len(wanted) > 20
    wanted_nowhere = wanted | {"the database's password": database_password(site)}

    # The search itself finds what is planted in each place. Events arrive last: then all others have, too.
    planted = plant(site)
    wait_for(
        lambda: set[str]().union(*seen_at(site, planted).values()) == planted.keys(),
        60,
        "everything that was planted",
    )
    assert seen_at(site, wanted_nowhere) == {}
    assert seen(wanted_nowhere, site.api.get("/admin/settings").raise_for_status().text) == set()

    # The one place where they are. Without being asked for, secrets are not told there either.
    assert seen(wanted, block_documents(site, include_secrets=False)) == set()
    in_headers = {name for name in wanted if name.endswith("Authorization")}
    assert seen(wanted, block_documents(site, include_secrets=True)) == wanted.keys() - in_headers
