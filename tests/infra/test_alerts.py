"""The command, against a real Prefect server that sends to a real listener."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest
from prefect import Flow, flow
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.events import emit_event
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    get_current_settings,
    temporary_settings,
)

from infra.alert_rules import Wishes, automations, names, tag
from infra.alerts import main
from infra.automations import apply, notification_block, remove

NOTIFY = ["--notify", "custom-webhook/alerts"]
SHORT = timedelta(seconds=10)  # the shortest that Prefect takes for a proactive trigger
LONG_ENOUGH = 25.0

Message = dict[str, str]


def until(what: Callable[[], bool], seconds: float = LONG_ENOUGH) -> bool:
    """Whether it came true in time; looked at until then."""
    end = time.monotonic() + seconds
    while not (so := what()) and time.monotonic() < end:
        time.sleep(0.1)
    return so


class Listener:
    """What a chat's webhook would have received."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        messages = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                messages.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Not on the test's output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def about(self, text: str, seconds: float = LONG_ENOUGH) -> list[Message]:
        """The messages with these words, once there is one, or when the time is over."""
        until(lambda: any(text in one["body"] for one in self.messages), seconds)
        return [one for one in self.messages if text in one["body"]]


@contextmanager
def listening() -> Iterator[Listener]:
    """Whoever the notification block ``alerts`` of the current server tells."""
    one = Listener()
    try:
        CustomWebhookNotificationBlock(
            name="alerts", url=one.url, json_data={"subject": "{{subject}}", "body": "{{body}}"}
        ).save("alerts", overwrite=True)
        yield one
    finally:
        one.server.shutdown()
        one.server.server_close()


@pytest.fixture
def listener(prefect_server: None) -> Iterator[Listener]:
    with listening() as one:
        yield one


@pytest.fixture
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as one:
        yield one
        for pipeline in (None, "shop"):
            remove(one, names(pipeline).values(), tag(pipeline))
        for automation in one.read_automations():
            if automation.name.startswith("control: "):
                one.delete_automation(automation.id)
        for deployment in one.read_deployments():
            if deployment.name in {"hourly", "hourly-shop", "nightly", "part"}:
                one.delete_deployment(deployment.id)


def named(name: str) -> Flow[[str], None]:
    @flow(name=name)
    def body(pipeline: str = "amplitude") -> None:
        """Only its name and its runs' states matter here."""

    return body


INGEST, GAP_FILL, OTHER = (named(one) for one in ("amplitude-ingest", "amplitude-gap-fill", "somebody-else"))


def move(client: SyncPrefectClient, run: UUID, *kinds: StateType, message: str | None = None) -> None:
    for kind in kinds:
        client.set_flow_run_state(run, State(type=kind, message=message), force=True)


def held(client: SyncPrefectClient, pipeline: str | None = None) -> dict[str, Automation]:
    found = [one for name in names(pipeline).values() for one in client.read_automations_by_name(name)]
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def deploy(
    client: SyncPrefectClient, name: str, pipeline: str, flow: Flow[[str], None] | None = None
) -> UUID:
    flow_id = client.create_flow(flow or INGEST)
    return client.create_deployment(flow_id=flow_id, name=name, parameters={"pipeline": pipeline})


def scheduled_run(client: SyncPrefectClient, deployment: UUID, *kinds: StateType) -> None:
    run = client.create_flow_run_from_deployment(deployment, tags=["auto-scheduled"])
    move(client, run.id, *kinds)


def seconds_long(client: SyncPrefectClient, *keys: str) -> list[AutomationCore]:
    """Apply some of the alerts, with waits of seconds instead of hours."""
    wishes = Wishes(
        block=notification_block(client, "custom-webhook/alerts"),
        fresh_within=SHORT,
        filled_within=SHORT,
        stuck_after=SHORT,
        silent_after=SHORT,
        ui_url="http://127.0.0.1:4200",
    )
    wanted = [one for one in automations(wishes) if one.name in {names(None)[key] for key in keys}]
    apply(client, wanted)
    return wanted


def control(client: SyncPrefectClient, alert: AutomationCore, name: str, **changes: Any) -> None:
    """The same alert with another trigger, which says its name only."""
    (action,) = alert.actions
    said = action.model_copy(update={"subject": name, "body": name})
    trigger = alert.trigger.model_copy(update=changes)
    client.create_automation(AutomationCore(name=f"control: {name}", trigger=trigger, actions=[said]))


@pytest.mark.slow
def test_a_failed_run_sends_one_message_that_says_what_and_where(
    client: SyncPrefectClient, listener: Listener
) -> None:
    assert main(NOTIFY) == 0
    message = "2025-12-23T19: Amplitude refused the key."
    for name, other, end in (
        ("good-run", INGEST, StateType.COMPLETED),
        ("their-run", OTHER, StateType.FAILED),
        ("gap-fill part 2025-12-01T00", GAP_FILL, StateType.FAILED),
    ):
        move(client, client.create_flow_run(other, name=name).id, StateType.RUNNING, end, message=message)
    # A part that a gap-fill does itself begins with a name of Prefect's, and is given its own.
    here = client.create_flow_run(GAP_FILL, name="calm-otter")
    move(client, here.id, StateType.RUNNING)
    client.update_flow_run(here.id, name="gap-fill part 2025-12-02T00")
    move(client, here.id, StateType.FAILED)
    run = client.create_flow_run(INGEST, name="brave-heron", parameters={"pipeline": "shop"})
    move(client, run.id, StateType.RUNNING)
    move(client, run.id, StateType.FAILED, message=message)
    # Events are judged in their order: once this one is told of, all before it have been judged.
    last = client.create_flow_run(GAP_FILL, name="the-last-one")
    move(client, last.id, StateType.RUNNING, StateType.FAILED)
    assert listener.about("the-last-one")
    (told,) = listener.about("brave-heron")
    for untold in ("good-run", "their-run", "gap-fill part", "calm-otter"):
        assert not listener.about(untold, 0)
    assert told["subject"] == "amplitude-ingest: Failed"
    assert told["body"].splitlines()[:4] == [
        "amplitude-ingest, run brave-heron, pipeline shop",
        "State: Failed",
        f"Message: {message}",
        f"{get_current_settings().ui_url}/runs/flow-run/{run.id}",
    ]


@pytest.mark.slow
def test_applied_twice_changed_in_place_paused_and_removed(
    client: SyncPrefectClient, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: str) -> list[str]:
        assert main(list(arguments)) == 0
        server, *lines = capsys.readouterr().out.splitlines()
        assert server.startswith("Prefect server: http")
        return [" ".join(line.split()) for line in lines]

    everything = list(names(None).values())
    failed, stuck, vanished, silent, unfilled = everything
    assert told(*NOTIFY, "--dry-run")[:5] == [f"would be created {name}" for name in everything]
    assert not held(client)
    assert told(*NOTIFY) == [f"created {name}" for name in everything]
    first = held(client)
    assert told(*NOTIFY) == [f"unchanged {name}" for name in everything]
    client.pause_automation(first[silent].id)
    assert told(*NOTIFY, "--hours", "5") == [
        f"unchanged {failed}",
        f"unchanged {stuck}",
        f"unchanged {vanished}",
        f"updated {silent} (paused): description, trigger, actions",
        f"unchanged {unfilled}",
    ]
    second = held(client)
    assert {name: one.id for name, one in second.items()} == {name: one.id for name, one in first.items()}
    assert second[silent].trigger.within == timedelta(hours=5)  # type: ignore[union-attr]
    assert [one.enabled for one in second.values()] == [True, True, True, False, True]

    # somebody else's of the same name, and another pipeline's, are not ours to change
    theirs = client.create_automation(AutomationCore(**second[failed].model_dump() | {"tags": ["theirs"]}))
    shop = deploy(client, "hourly-shop", "shop")
    deploy(client, "hourly", "amplitude")
    part = deploy(client, "part", "amplitude", GAP_FILL)
    watched = "Watched: amplitude-gap-fill/part, amplitude-ingest/hourly-shop. "
    assert told(*NOTIFY, "--pipeline", "shop")[-1].startswith(watched)
    vanished_of_shop = held(client, "shop")[names("shop")["vanished"]].model_dump_json()
    assert str(shop) in vanished_of_shop
    assert str(part) in vanished_of_shop, "parts of every pipeline are runs of this one"
    assert sorted(told("--remove")) == sorted(f"deleted {name}" for name in everything)
    assert next(iter(held(client).values())).id == theirs
    client.delete_automation(theirs)
    assert len(held(client, "shop")) == 5
    assert len(told("--remove", "--pipeline", "shop")) == 5
    assert told("--remove", "--pipeline", "shop") == ["There are none to remove."]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--notify", "slack-webhook/nowhere"], "There is no block slack-webhook/nowhere"),
        (["--notify", "secret/alerts"], "secret/alerts is not a notification block"),
        (["--notify", "alerts"], "takes TYPE/NAME"),
        ([*NOTIFY, "--pipeline", "nobody-s"], "No deployment on this server is for the pipeline 'nobody-s'"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_makes_nothing(
    arguments: list[str],
    said: str,
    client: SyncPrefectClient,
    listener: Listener,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Secret(value="hush").save("alerts", overwrite=True)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not held(client)


@pytest.mark.parametrize("arguments", [[], [*NOTIFY, "--hours", "0"], [*NOTIFY, "--pipeline", "A b"]])
def test_arguments_that_cannot_be_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_wait_shorter_than_three_heartbeats_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str, heartbeat_seconds: int = 180) -> str:
        updates = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: heartbeat_seconds}
        with temporary_settings(updates, restore_defaults={PREFECT_API_URL}):
            assert main([*NOTIFY, *arguments]) == 2
        return capsys.readouterr().err

    assert "take 9 or more" in said("--silent-minutes", "8")
    assert "three heartbeats" not in said("--silent-minutes", "2", heartbeat_seconds=30)
    assert "three heartbeats" not in said("--silent-minutes", "9")
    assert "three heartbeats" not in said()
    assert "take 30 or more" in said(heartbeat_seconds=600)


def test_without_a_server_that_stays_nothing_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert main(NOTIFY) == 2
    assert capsys.readouterr().err.startswith("Alerts need a Prefect server that keeps running")


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_settings({PREFECT_API_URL: "http://me:hush@127.0.0.1:9/api"}):
        assert main(NOTIFY) == 1
    told = capsys.readouterr()
    assert "cannot be reached" in told.err
    assert told.err.count("\n") == 1
    assert "hush" not in told.out + told.err


@pytest.mark.slow
@pytest.mark.long
def test_a_deployment_s_silence_is_told_though_another_one_s_runs_complete(
    client: SyncPrefectClient, listener: Listener
) -> None:
    quiet, busy = deploy(client, "hourly", "amplitude"), deploy(client, "hourly-shop", "shop")
    (alert,) = seconds_long(client, "silent")
    assert isinstance(alert.trigger, EventTrigger)
    assert isinstance(alert.trigger.match_related, list)
    control(client, alert, "one wait for all deployments", for_each=set())
    control(client, alert, "runs by hand count too", match_related=alert.trigger.match_related[:1])
    for one in (quiet, busy):
        scheduled_run(client, one, StateType.RUNNING, StateType.COMPLETED)
    end = time.monotonic() + LONG_ENOUGH
    while not (told := listener.about("amplitude-ingest/hourly,", 1)) and time.monotonic() < end:
        scheduled_run(client, busy, StateType.COMPLETED)
        # a run by hand brings what it was asked for, which need not be the newest hours
        by_hand = client.create_flow_run_from_deployment(quiet)
        move(client, by_hand.id, StateType.COMPLETED)
    assert told[0]["subject"] == "amplitude-ingest: no completed ingest for 10 seconds"
    assert told[0]["body"].splitlines()[:2] == [
        "No completed ingest for 10 seconds: hours may not be arriving.",
        "Watched: the scheduled runs of amplitude-ingest/hourly, pipeline amplitude",
    ]
    for hidden in ("hourly-shop", "one wait for all deployments", "runs by hand count too"):
        assert not listener.about(hidden, 0)

    # and again, without any run that completes, while runs are due
    listener.messages.clear()
    scheduled_run(client, quiet, StateType.PENDING)
    for silent in ("amplitude-ingest/hourly,", "one wait for all deployments", "runs by hand count too"):
        assert listener.about(silent, LONG_ENOUGH)


@pytest.mark.slow
@pytest.mark.long
def test_a_nightly_gap_fill_that_no_longer_takes_place_is_told_and_one_that_fails_is_not(
    client: SyncPrefectClient, listener: Listener
) -> None:
    nightly = deploy(client, "nightly", "amplitude", GAP_FILL)
    (alert,) = seconds_long(client, "unfilled")
    control(client, alert, "one that fails is missed", expect={"prefect.flow-run.Completed"})
    end = time.monotonic() + LONG_ENOUGH
    while not listener.about("one that fails is missed", 1) and time.monotonic() < end:
        scheduled_run(client, nightly, StateType.FAILED)
    assert listener.about("one that fails is missed", 0)
    assert not listener.about("/nightly", 0)
    (told,) = listener.about("/nightly")
    assert told["subject"] == "amplitude-gap-fill: none for 10 seconds"
    assert told["body"].splitlines()[:2] == [
        "No gap-fill has ended for 10 seconds, neither well nor badly.",
        "Watched: the scheduled runs of amplitude-gap-fill/nightly, pipeline amplitude",
    ]


@pytest.mark.slow
@pytest.mark.long
def test_a_run_that_does_not_end_is_told_and_one_that_ends_is_not(
    client: SyncPrefectClient, listener: Listener
) -> None:
    seconds_long(client, "stuck")
    stuck, ended = (client.create_flow_run(GAP_FILL, name=one) for one in ("stuck-one", "ended-one"))
    for run in (stuck, ended):
        move(client, run.id, StateType.PENDING, StateType.RUNNING)
    move(client, ended.id, StateType.FAILED)
    (told,) = listener.about("stuck-one", LONG_ENOUGH)
    assert told["subject"] == "amplitude-gap-fill: a run does not end"
    assert "began 10 seconds ago" in told["body"]
    assert not listener.about("ended-one", 0)


#: A process that runs a flow of ours until it is killed.
FOREVER = """
import time
from prefect import flow
@flow(name="amplitude-ingest", flow_run_name="killed-one")
def ingest() -> None:
    print("begun", flush=True)
    time.sleep(600)
ingest()
"""


def heartbeats_of(client: SyncPrefectClient, name: str) -> int:
    """How many of them the server has got from runs of this name."""
    wanted = {"event": {"name": ["prefect.flow-run.heartbeat"]}, "order": "DESC"}
    response = client._client.post("/events/filter", json={"filter": wanted, "limit": 50})
    resources = [one["resource"] for one in response.raise_for_status().json()["events"]]
    return sum(one.get("prefect.resource.name") == name for one in resources)


def kill_while_running(client: SyncPrefectClient) -> None:
    """A flow run whose process is gone, after its first heartbeat."""
    settings = get_current_settings()
    environment = {**os.environ, "PREFECT_API_URL": str(settings.api.url)}
    process = subprocess.Popen(
        [sys.executable, "-c", FOREVER], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == "begun\n"
        beaten = until(lambda: heartbeats_of(client, "killed-one") > 0)
        process.kill()
        process.wait()
    assert beaten


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_process_s_run_becomes_crashed_and_is_told_and_a_living_one_goes_on(
    client: SyncPrefectClient, listener: Listener
) -> None:
    seconds_long(client, "failed", "vanished")
    living = client.create_flow_run(INGEST, name="living-one")
    move(client, living.id, StateType.RUNNING)

    def beat() -> None:
        related = [
            {
                "prefect.resource.id": f"prefect.flow.{living.flow_id}",
                "prefect.resource.role": "flow",
                "prefect.resource.name": "amplitude-ingest",
            }
        ]
        resource = {"prefect.resource.id": f"prefect.flow-run.{living.id}"}
        emit_event("prefect.flow-run.heartbeat", resource, related=related)

    kill_while_running(client)
    end = time.monotonic() + LONG_ENOUGH
    while not (told := listener.about("killed-one", 2)) and time.monotonic() < end:
        beat()
    assert told[0]["subject"] == "amplitude-ingest: Crashed"
    assert "No heartbeat for 10 seconds" in told[0]["body"]
    assert not listener.about("living-one", 0)
    state = client.read_flow_run(living.id).state
    assert state is not None
    assert state.is_running()
