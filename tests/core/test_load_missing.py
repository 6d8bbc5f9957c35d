"""A run's load, from the listing of the lake to the receipt; over a lake and a schema in memory."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.hours import ExportHour, ExportWindow
from core.lake.layout import Status
from core.lake.manifest import Manifest
from core.loading import HourReader, load_missing, read_hours, reconcile_hours, to_load
from core.warehouse.contents import HourToLoad, PartToLoad
from core.warehouse.loader import LoadReceipt, Reconciliation, Warehouse
from tests.core.lake.examples import APP, HOUR, manifest, part
from tests.core.lake.shelf import Shelf, lake_on
from tests.core.warehouse.scripted import Schema

WANTED = ExportWindow(HOUR, HOUR + 3)
PREFIX = "amplitude/"


def export(hour: ExportHour, *events: int, later: int = 4, status: Status | None = None) -> Manifest:
    """An export some hours after its hour."""
    parts = [part(hour, number, events=count) for number, count in enumerate(events)]
    return manifest(*parts, hour=hour, exported_at=hour.start + timedelta(hours=later), status=status)


class World:
    """A lake and the schema over it.

    Attributes:
        apps: For whom the warehouse was opened.
    """

    def __init__(self, *manifests: Manifest) -> None:
        self.shelf = Shelf()
        self.lake = lake_on(self.shelf, *manifests)
        self.schema = Schema()
        self.apps: list[int] = []
        self.stock(*manifests)

    def stock(self, *manifests: Manifest) -> None:
        """Put the manifests and their parts where the loader finds them."""
        for written in manifests:
            self.lake.put_manifest(written)
            self.schema.put(to_load(written))

    def spoil(self, written: Manifest) -> None:
        """Let the second line of an export's first part be no JSON."""
        self.schema.stage[written.parts[0].key][1] = "bad"

    def damage(self, written: Manifest) -> None:
        """Let a manifest be unreadable."""
        self.shelf.objects[PREFIX + written.name.key] = b"{}"

    def load(self, wanted: ExportWindow = WANTED, *, run: str = "run 1", **named: Any) -> LoadReceipt:
        """What a run loads."""

        def opened(*, app_id: int) -> Warehouse:
            self.apps.append(app_id)
            return self.schema.warehouse(app_id=app_id, run=run)

        return load_missing(self.lake, opened, wanted, run=run, **named)

    def reconcile(self, *hours: ExportHour) -> Reconciliation:
        """What reconciling finds."""

        def opened(*, app_id: int) -> Warehouse:
            self.apps.append(app_id)
            return self.schema.warehouse(app_id=app_id)

        return reconcile_hours(self.lake, opened, hours)


def test_what_a_range_holds_and_the_ledger_does_not_is_loaded_for_the_lake_s_project() -> None:
    world = World(export(HOUR, 3), export(HOUR + 2, 1, 1), export(HOUR + 4, 9), export(HOUR - 1, 9))
    assert world.load() == LoadReceipt({HOUR: 3, HOUR + 2: 2}, {}, 3)
    assert world.reconcile(*WANTED) == Reconciliation(2, 5, 5, (), {})
    assert world.apps == [APP, APP]
    world.schema.said.clear()
    assert world.load(run="run 2") == LoadReceipt({}, {}, 0)
    assert world.schema.names() == ["READ_LOCK", "READ_LEDGER"]


def test_a_lake_that_is_nobody_s_opens_no_warehouse() -> None:
    world = World()
    world.shelf.objects.clear()
    assert world.load() == LoadReceipt({}, {}, 0)
    assert world.reconcile(HOUR) == Reconciliation(0, 0, 0, (), {})
    assert world.apps == []


def test_rows_that_are_gone_come_back_only_of_hours_that_are_suspected() -> None:
    world = World(export(HOUR, 3), export(HOUR + 1, 2))
    world.load()
    world.schema.tables.rows.clear()
    assert world.load(run="run 2") == LoadReceipt({}, {}, 0)
    assert world.load(run="run 2", suspects=[HOUR]) == LoadReceipt({HOUR: 3}, {}, 1)
    assert list(world.reconcile(HOUR, HOUR + 1).mismatches) == [HOUR + 1]


def test_an_hour_that_is_named_for_its_bad_lines_is_not_suspected_for_that() -> None:
    world = World(export(HOUR, 3))
    world.load()
    world.schema.tables.rows.clear()
    assert world.load(run="run 2", reject=[HOUR]) == LoadReceipt({}, {}, 0)


def test_an_hour_that_was_given_up_is_left_as_it_is_whatever_is_said_of_it() -> None:
    world = World(export(HOUR, 3), export(HOUR, later=9, status=Status.GIVEN_UP))
    assert world.load(suspects=[HOUR], reject=[HOUR]) == LoadReceipt({}, {}, 0)
    assert read_hours(world.lake, [HOUR]) == ({}, {})


def test_a_receipt_holds_what_an_earlier_try_of_the_run_has_loaded_in_the_range() -> None:
    """The first try's answer was lost."""
    first, second = export(HOUR, 3), export(HOUR + 5, 4)
    world = World(first, second)
    world.spoil(first)
    world.load(ExportWindow(HOUR, HOUR + 9), reject=[HOUR])
    world.stock(export(HOUR + 1, 2))
    again = world.load(reject=[HOUR])
    assert again == LoadReceipt({HOUR: 2, HOUR + 1: 2}, {}, 1, {HOUR: 1})
    assert world.load(run="run 2", reject=[HOUR]) == LoadReceipt({}, {}, 0)


def test_a_receipt_tells_what_was_loaded_last_and_keeps_the_rejections_of_the_others() -> None:
    first, second = export(HOUR, 3), export(HOUR + 1, 3)
    world = World(first, second)
    for written in (first, second):
        world.spoil(written)
    world.load(reject=[HOUR, HOUR + 1])
    world.stock(export(HOUR, 2, 4, later=30))
    receipt = world.load(reject=[HOUR + 1])
    assert receipt == LoadReceipt({HOUR: 6, HOUR + 1: 2}, {}, 2, {HOUR + 1: 1})


def test_a_manifest_that_cannot_be_read_costs_its_hour_and_says_how_to_mend_it() -> None:
    damaged, sound = export(HOUR, 3), export(HOUR + 1, 2)
    world = World(damaged, sound)
    world.damage(damaged)
    receipt = world.load()
    assert receipt.loaded == {HOUR + 1: 2}
    assert list(receipt.failures) == [HOUR]
    assert receipt.failures[HOUR].startswith(f"The manifest {damaged.name.key} cannot be read")
    assert receipt.failures[HOUR].endswith(
        f" To export it again: python -m flows.gap_fill --start {HOUR} --end {HOUR} --verify"
    )
    found = world.reconcile(HOUR, HOUR + 1)
    assert (found.hours, found.mismatches) == (1, receipt.failures)


def test_failures_of_lake_and_warehouse_stand_beside_each_other() -> None:
    damaged, missing = export(HOUR, 3), export(HOUR + 1, 2)
    world = World(damaged, missing)
    world.damage(damaged)
    world.schema.stage.clear()
    assert sorted(world.load().failures) == [HOUR, HOUR + 1]
    world.load(ExportWindow(HOUR + 1, HOUR + 1))
    assert sorted(world.reconcile(HOUR, HOUR + 1).mismatches) == [HOUR, HOUR + 1]


class Flickering(Schema):
    """A schema, and an hour's manifest that is damaged as long as the second session lasts."""

    def __init__(self, world: World, written: Manifest) -> None:
        super().__init__()
        self.stage = world.schema.stage
        self.world = world
        self.key = PREFIX + written.name.key
        self.whole = world.shelf.objects[self.key]
        self.sessions = 0

    def connect(self) -> Any:
        self.sessions += 1
        self.world.shelf.objects[self.key] = b"{}" if self.sessions == 2 else self.whole
        return super().connect()


def test_an_hour_that_could_be_read_and_loaded_after_all_has_not_failed() -> None:
    written, missing = export(HOUR, 3), export(HOUR + 1, 1)
    world = World(written, missing)
    del world.schema.stage[missing.parts[0].key]
    world.schema = Flickering(world, written)
    receipt = world.load()
    assert (receipt.loaded, list(receipt.failures)) == ({HOUR: 3}, [HOUR + 1])


@pytest.mark.parametrize("restored", [False, True])
def test_what_an_hour_consists_of_is_read_with_the_moment_of_its_restoring(restored: bool) -> None:
    status = Status.RESTORED if restored else Status.DATA
    first, second = export(HOUR, 3, status=status), export(HOUR, 2, 2, later=30)
    moment: datetime | None = first.exported_at if restored else None
    parts = tuple(PartToLoad(one.key, one.events) for one in second.parts)
    wanted = HourToLoad(HOUR, second.exported_at, second.digest, parts, moment)
    assert read_hours(World(first, second).lake, [HOUR]) == ({HOUR: wanted}, {})


def test_hours_are_read_by_stretches_and_a_damaged_one_does_not_keep_the_others_from_it() -> None:
    far = HOUR + 24 * 40
    written = [export(hour, 1) for hour in (HOUR, HOUR + 1, HOUR + 2, far)]
    world = World(*written)
    world.damage(written[1])
    world.shelf.asked.clear()
    found, unusable = read_hours(world.lake, [far, HOUR + 1, HOUR, HOUR + 9])
    assert (list(found), list(unusable)) == ([HOUR, far], [HOUR + 1])
    assert world.shelf.asked.count("list") == 2
    assert world.shelf.asked.count("get") == 3


def test_a_reader_remembers_every_hour_that_it_could_not_read() -> None:
    written = [export(HOUR, 1), export(HOUR + 1, 1)]
    world = World(*written)
    reader = HourReader(world.lake)
    for one in written:
        world.damage(one)
        assert reader([one.hour]) == {}
    assert list(reader.unusable) == [HOUR, HOUR + 1]
