"""The door to Prefect's automations: finds by name, compares, and changes what differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.events.filters import AutomationFilter, AutomationFilterName
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound

from core.errors import InvalidInput

#: What is compared. Whether an automation is paused is its owner's affair, and is left as it is.
_COMPARED = ("description", "trigger", "actions", "tags")
_PAGE = 200


def apply(client: SyncPrefectClient, wanted: Sequence[AutomationCore], *, dry_run: bool = False) -> list[str]:
    """Make each automation what it should be. Returns a line for each.

    Safe to repeat: one that is there is updated in place where it differs, and otherwise left alone;
    an update begins its waits anew. Ours are known by name and tag: others of the same name are not touched.

    Args:
        wanted: Each with a name and at least one tag.
        dry_run: Change nothing; the lines say what would be done.
    """
    would = "would be " if dry_run else ""
    lines = []
    held = _held(client, {automation.name for automation in wanted}, wanted[0].tags)
    for automation in wanted:
        same = [one for one in held if one.name == automation.name]
        if not same:
            if not dry_run:
                client.create_automation(automation)
            lines.append(f"{would}created    {automation.name}")
            continue
        first, *rest = same
        differs = [field for field in _COMPARED if getattr(first, field) != getattr(automation, field)]
        paused = "" if first.enabled else " (paused)"
        if differs:
            if not dry_run:
                client.update_automation(first.id, _whole(automation, enabled=first.enabled))
            lines.append(f"{would}updated    {automation.name}{paused}: {', '.join(differs)}")
        else:
            lines.append(f"unchanged  {automation.name}{paused}")
        lines += _deleted(client, rest, dry_run=dry_run)
    return lines


def remove(client: SyncPrefectClient, names: Iterable[str], tag: str, *, dry_run: bool = False) -> list[str]:
    """Delete the automations of these names that carry the tag, and no others. Returns a line for each."""
    return _deleted(client, _held(client, set(names), [tag]), dry_run=dry_run)


def notification_block(client: SyncPrefectClient, path: str) -> UUID:
    """The id of a notification block's document.

    Args:
        path: Slug of its type and name: ``slack-webhook/ops``.

    Raises:
        InvalidInput: There is none of that name, or it cannot notify. Permanent.
    """
    slug, slash, name = path.partition("/")
    if not slug or not slash or not name:
        msg = f"--notify takes TYPE/NAME of a block, such as slack-webhook/ops, not {path!r}."
        raise InvalidInput(msg)
    try:
        document = client.read_block_document_by_name(name, slug, include_secrets=False)
    except ObjectNotFound:
        msg = f"There is no block {path}: make one, or look at `prefect block ls`."
        raise InvalidInput(msg) from None
    capabilities = document.block_schema.capabilities if document.block_schema else []
    if "notify" not in capabilities:
        msg = f"{path} is not a notification block: choose one, such as slack-webhook/NAME."
        raise InvalidInput(msg)
    return document.id


def deployments_of(
    client: SyncPrefectClient, flows: dict[str, str], pipeline: str, shared: Iterable[str] = ()
) -> dict[str, UUID]:
    """The deployments whose parameters name the pipeline: id by ``flow/deployment``.

    Args:
        flows: Which flows are looked at, and the parameter of each that names the pipeline.
        shared: Those that serve every pipeline; each run of them is told its own.

    Raises:
        InvalidInput: There is none, or none but shared ones. Permanent.
    """
    found: dict[str, UUID] = {}
    of_all: dict[str, UUID] = {}
    for flow, parameter in flows.items():
        of_flow = FlowFilter(name=FlowFilterName(any_=[flow]))
        offset = 0
        while page := client.read_deployments(flow_filter=of_flow, limit=_PAGE, offset=offset):
            for one in page:
                name = f"{flow}/{one.name}"
                if name in shared:
                    of_all[name] = one.id
                # the flows' own default is the first pipeline's name
                elif (one.parameters or {}).get(parameter, "amplitude") == pipeline:
                    found[name] = one.id
            offset += len(page)
    if not found:
        msg = f"No deployment on this server is for the pipeline {pipeline!r}: deploy first."
        raise InvalidInput(msg)
    return found | of_all


def _held(client: SyncPrefectClient, names: set[str], tags: Sequence[str]) -> list[Automation]:
    only = AutomationFilter(name=AutomationFilterName(any_=sorted(names)))
    found = client.read_automations(automations=only)
    return [one for one in found if one.name in names and set(tags) <= set(one.tags)]


def _deleted(client: SyncPrefectClient, held: Iterable[Automation], *, dry_run: bool) -> list[str]:
    lines = []
    for automation in held:
        if not dry_run:
            client.delete_automation(automation.id)
        lines.append(f"{'would be ' if dry_run else ''}deleted    {automation.name}")
    return lines


def _whole(automation: AutomationCore, *, enabled: bool) -> AutomationCore:
    """The same with every field set, for an update sends no other; the owner is not taken in one."""
    return AutomationCore.model_validate(
        automation.model_dump(exclude={"owner_resource"}) | {"enabled": enabled}
    )
