"""From lake to warehouse: which hours, what they consist of, and whether they arrived."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from core.hours import ExportHour, ExportWindow, stretches
from core.lake.manifest import Manifest
from core.lake.reading import read_manifests
from core.lake.store import Lake
from core.lake.verdict import HourVerdict, verdicts_of
from core.warehouse.contents import HourToLoad, LedgerEntry, PartToLoad
from core.warehouse.loader import LoadReceipt, Reconciliation, Warehouse


class OpenWarehouse(Protocol):
    """Opens the warehouse for the project that the lake holds."""

    def __call__(self, *, app_id: int) -> Warehouse: ...  # noqa: D102


def load_missing(
    lake: Lake,
    open_warehouse: OpenWarehouse,
    wanted: ExportWindow,
    *,
    run: str,
    suspects: Collection[ExportHour] = (),
    reject: Collection[ExportHour] = (),
) -> LoadReceipt:
    """Load every hour of a range whose content is not the ledger's.

    Guarantees: the ledger is always asked, never skipped because the lake has nothing new. The receipt
    holds what this run has loaded, by this call or by one whose answer was lost. An hour that was given
    up is left as it is, whatever else is said of it.

    Args:
        run: Who loads, as the ledger has it.
        suspects: Hours to be loaded again if their rows differ, although the ledger agrees.
        reject: Hours that are loaded, if they are due, without the lines that Snowflake cannot read; these
            are kept in ``events_rejected``.

    Raises:
        WarehouseUnavailable, LakeUnavailable: Transient.
        WarehouseRefused, LakeRefused, LakeConflict: Permanent.
    """
    identity = lake.identity()
    if identity is None:
        return LoadReceipt({}, {}, 0)
    warehouse = open_warehouse(app_id=identity.app_id)
    verdicts = verdicts_of(lake.manifest_names(wanted.first, wanted.last))
    ledger = warehouse.ledger()
    reader = HourReader(lake)
    due = reader({*hours_not_in_ledger(verdicts, ledger), *suspects, *reject})
    receipt = warehouse.load(due.values(), reader, check_rows=bool(suspects), reject=reject)
    unusable = {hour: why for hour, why in reader.unusable.items() if hour not in receipt.loaded}
    before = {hour: entry for hour, entry in ledger.items() if entry.run == run and hour in wanted}
    rows = {hour: entry.events - entry.rejected for hour, entry in before.items()}
    rejected = {
        hour: entry.rejected
        for hour, entry in before.items()
        if entry.rejected and hour not in receipt.loaded
    }
    return replace(
        receipt,
        loaded=rows | receipt.loaded,
        failures=unusable | receipt.failures,
        rejected=rejected | receipt.rejected,
    )


def reconcile_hours(
    lake: Lake, open_warehouse: OpenWarehouse, hours: Collection[ExportHour]
) -> Reconciliation:
    """Compare the rows of hours with the lake, hour by hour, in one session.

    Args:
        hours: A window, or any others; what lies between hours more than 30 days apart is not read.

    Raises:
        WarehouseUnavailable, LakeUnavailable: Transient.
        WarehouseRefused, LakeRefused, LakeConflict: Permanent.
    """
    identity = lake.identity()
    if identity is None:
        return Reconciliation(0, 0, 0, (), {})
    reader = HourReader(lake)
    found = open_warehouse(app_id=identity.app_id).reconcile(hours, reader)
    return replace(found, mismatches=reader.unusable | found.mismatches)


def to_load(manifest: Manifest, restored_at: datetime | None = None) -> HourToLoad:
    """What a manifest asks the warehouse to hold."""
    parts = tuple(PartToLoad(part.key, part.events) for part in manifest.parts)
    return HourToLoad(manifest.hour, manifest.exported_at, manifest.digest, parts, restored_at)


def hours_not_in_ledger(
    verdicts: Mapping[ExportHour, HourVerdict], ledger: Mapping[ExportHour, LedgerEntry]
) -> list[ExportHour]:
    """Hours whose content the table does not have, oldest first; given-up hours are left as they are."""
    return sorted(
        hour
        for hour, verdict in verdicts.items()
        if verdict.content is not None
        and not verdict.given_up
        and (hour not in ledger or not ledger[hour].holds(verdict.content.digest, verdict.restored_at))
    )


@dataclass(frozen=True, slots=True)
class HourReader:
    """Looks at the lake for a loader, as often as it asks.

    Attributes:
        unusable: Why an hour could not be read, of all that were asked for.
    """

    lake: Lake
    unusable: dict[ExportHour, str] = field(default_factory=dict)

    def __call__(self, hours: Collection[ExportHour]) -> dict[ExportHour, HourToLoad]:
        """What the given hours consist of now; see :func:`read_hours`."""
        found, unusable = read_hours(self.lake, hours)
        self.unusable.update(unusable)
        return found


def read_hours(
    lake: Lake, hours: Collection[ExportHour]
) -> tuple[dict[ExportHour, HourToLoad], dict[ExportHour, str]]:
    """What the given hours consist of now, by listing the lake, and why an hour cannot be read.

    Hours without content are in neither.

    Raises:
        LakeUnavailable: Transient. LakeRefused, LakeConflict: Permanent.
    """
    verdicts = verdicts_of(
        name for stretch in stretches(hours) for name in lake.manifest_names(stretch.first, stretch.last)
    )
    names = [
        verdict.content
        for hour in sorted(hours)
        if (verdict := verdicts.get(hour)) is not None
        and verdict.content is not None
        and not verdict.given_up
    ]
    found: dict[ExportHour, HourToLoad] = {}
    unusable: dict[ExportHour, str] = {}
    for name, manifest in read_manifests(lake, names).items():
        if isinstance(manifest, Manifest):
            found[name.hour] = to_load(manifest, verdicts[name.hour].restored_at)
        else:
            remedy = f"python -m flows.gap_fill --start {name.hour} --end {name.hour} --verify"
            unusable[name.hour] = f"{manifest} To export it again: {remedy}"
    return found, unusable
