"""``python -m infra.alerts``: have Prefect tell of runs that fail, never end or vanish, and of silence.

Safe to repeat: automations that are there are updated in place where they differ, and otherwise left
alone. ``--remove`` deletes those that this command made.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta

from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore
from prefect.settings import get_current_settings

from blocks.server import prefect_server, trouble_with_prefect
from core.errors import InvalidInput
from infra.alert_rules import FLOWS, SHARED, Wishes, automations, names, tag
from infra.automations import apply, deployments_of, notification_block, remove


def main(arguments: Sequence[str] | None = None) -> int:
    """Apply, say what was done, and return the exit code: 1 trouble with the server, 2 a mistake."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.remove and not options.notify:
        parser.error("--notify is missing: the notification block that the alerts go through")
    try:
        lines = _run(options)
    except InvalidInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except Exception as error:
        if (told := trouble_with_prefect(error)) is None:
            raise
        sys.stderr.write(f"{told}\n")
        return 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.alerts",
        description="Make Prefect automations that tell of runs that fail, never end or vanish, and of "
        "ingests or gap-fills that do not take place. Run it again to change them.",
    )
    parser.add_argument(
        "--notify", metavar="TYPE/NAME", help="the notification block to send through: slack-webhook/ops"
    )
    parser.add_argument(
        "--hours",
        type=_whole_number(1),
        default=3,
        help="tell when no scheduled ingest has completed for so long (default: 3)",
    )
    parser.add_argument(
        "--nightly-hours",
        type=_whole_number(1),
        default=30,
        help="tell when no scheduled gap-fill has ended for so long, however it ended; more than a day and "
        "the time it takes (default: 30)",
    )
    parser.add_argument(
        "--stuck-hours",
        type=_whole_number(1),
        default=6,
        help="tell when a run has not ended after so long (default: 6)",
    )
    parser.add_argument(
        "--silent-minutes",
        type=_whole_number(2),
        default=10,
        help="call a run Crashed when its heartbeats have stopped for so long, at least three of them; one "
        "is sent every 3 minutes, or PREFECT_FLOWS_HEARTBEAT_FREQUENCY seconds (default: 10)",
    )
    parser.add_argument(
        "--pipeline",
        type=_name,
        metavar="NAME",
        help="only the deployments of this pipeline; default: every run of the flows on this server",
    )
    parser.add_argument("--remove", action="store_true", help="delete what this command made")
    parser.add_argument("--dry-run", action="store_true", help="print the alerts, and change nothing")
    return parser


def _whole_number(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < least:
            msg = f"takes a whole number from {least} to 9999, not {text[:40]!r}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return number


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        msg = f"takes lower-case letters, digits and dashes, not {text[:40]!r}"
        raise argparse.ArgumentTypeError(msg)
    return text


def _check_silence(minutes: int) -> None:
    """Refuse a wait that runs in good health would outlast, by the heartbeats that are set here.

    Raises:
        InvalidInput: Fewer than three heartbeats fit. Permanent.
    """
    seconds = get_current_settings().flows.heartbeat_frequency
    if seconds and minutes * 60 < 3 * seconds:
        msg = (
            f"--silent-minutes {minutes} is less than three heartbeats of {seconds} s, and live runs would "
            f"be called Crashed: take {-(-3 * seconds // 60)} or more, or set "
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY, for the worker and here."
        )
        raise InvalidInput(msg)


def _run(options: argparse.Namespace) -> list[str]:
    _check_silence(options.silent_minutes)
    ui_url = get_current_settings().ui_url
    if not get_current_settings().api.url or not ui_url:
        msg = "Alerts need a Prefect server that keeps running: set PREFECT_API_URL to its address."
        raise InvalidInput(msg)
    sys.stdout.write(f"Prefect server: {prefect_server()}\n")
    sys.stdout.flush()  # what follows may take a while
    pipeline = options.pipeline
    with get_client(sync_client=True) as client:
        client.raise_for_api_version_mismatch()
        if options.remove:
            found = remove(client, names(pipeline).values(), tag(pipeline), dry_run=options.dry_run)
            return found or ["There are none to remove."]
        block = notification_block(client, options.notify)
        watched = deployments_of(client, FLOWS, pipeline, SHARED) if pipeline else {}
        wishes = Wishes(
            block=block,
            fresh_within=timedelta(hours=options.hours),
            filled_within=timedelta(hours=options.nightly_hours),
            stuck_after=timedelta(hours=options.stuck_hours),
            silent_after=timedelta(minutes=options.silent_minutes),
            ui_url=re.sub(r"//[^/]*@", "//", ui_url),
            pipeline=pipeline,
            deployments=tuple(watched.values()),
        )
        wanted = automations(wishes)
        lines = apply(client, wanted, dry_run=options.dry_run)
    if watched:
        lines.append(f"Watched: {', '.join(sorted(watched))}. If you deploy more, run this again.")
    return [*lines, *_shown(wanted)] if options.dry_run else lines


def _shown(wanted: Sequence[AutomationCore]) -> list[str]:
    """What each would tell."""
    lines = []
    for automation in wanted:
        lines += ["", automation.name, f"  {automation.description}"]
        for action in automation.actions:
            if isinstance(action, SendNotification):
                lines += [f"  | {line}" for line in (action.subject, *action.body.splitlines())]
    return lines


if __name__ == "__main__":
    sys.exit(main())
