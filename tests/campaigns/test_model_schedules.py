"""The shortest history that tells each broken core from the real one, written by hand."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from core.gap_wishes import GapWishes
from tests.campaigns.model_broken import CONTROLS, SOUND
from tests.campaigns.model_laws import Violation
from tests.campaigns.model_machine import scratch
from tests.campaigns.model_runs import Craft
from tests.campaigns.model_world import HOURS, Mover, World

Schedule = Callable[[World], None]

H0, H1 = HOURS[0], HOURS[1]


def world_of(craft: Craft) -> World:
    """A world whose hours have one part of two events each."""
    return World({hour: ((f"{hour} a", f"{hour} b"),) for hour in HOURS}, scratch(), craft)


def again(world: World) -> Mover:
    """Begin a gap-fill that asks for the first hour once more."""
    world.pass_time(1)
    return world.gap_fill(GapWishes(H0, H0, retry=(H0,)))


def grow(world: World, number: int) -> None:
    """Let the first hour hold one event more, in a part of its own."""
    assert world.change(H0, (*world.site.source.parts(H0), (f"late {number}",)))


def one_ingest(world: World) -> None:
    world.finish(world.ingest(explicit=True))


def a_hole(world: World) -> None:
    world.pass_time(60)
    world.finish(world.gap_fill(GapWishes(H1, H1)))
    world.finish(world.ingest(explicit=True))


def a_part_more(world: World) -> None:
    one_ingest(world)
    grow(world, 1)
    world.finish(again(world))


def two_loaders(world: World) -> None:
    first = world.ingest(explicit=True)
    world.run_to(first, "copy_parts")
    world.finish(world.load())
    world.finish(first)
    world.account.end_dead_sessions()


def a_smaller_export(world: World) -> None:
    one_ingest(world)
    world.change(H0, (world.site.source.parts(H0)[0][:1],))
    world.finish(again(world))


def a_smaller_export_that_was_begun_later(world: World) -> None:
    """The later one has looked at the lake before the earlier one wrote, and writes after it."""
    world.change(H0, ((f"{H0} a",),))
    one_ingest(world)
    world.change(H0, ((f"{H0} a", "b", "c"),))
    earlier = again(world)
    world.run_to(earlier, "put-manifests")
    world.step(earlier)
    world.run_to(earlier, "put-manifests")
    world.change(H0, ((f"{H0} a", "b"),))
    later = again(world)
    world.run_to(later, "put-manifests")
    world.step(later)
    world.run_to(later, "put-manifests")
    world.finish(earlier)
    world.finish(later)


def overtaken_before_the_lock(world: World) -> None:
    first = world.ingest(explicit=True)
    world.run_to(first, "take_lock")
    grow(world, 1)
    world.finish(again(world))
    world.finish(first)


def a_truncated_table(world: World) -> None:
    one_ingest(world)
    world.truncate()
    world.settle_down()


def stale_and_overtaken_twice(world: World) -> None:
    """It does not see the first one's rows; the second one has written to the lake what it is to load."""
    first = world.ingest(explicit=True)
    world.run_to(first, "take_lock")
    grow(world, 1)
    world.finish(again(world), hides=True)
    grow(world, 2)
    world.run_to(again(world), "connect")
    world.finish(first)


def another_project(world: World) -> None:
    one_ingest(world)
    world.finish(world.ingest(explicit=True, site=world.stranger))


def crash_in_between(world: World) -> None:
    """Killed after its first COMMIT, if it has two."""
    first = world.ingest(explicit=True)
    world.run_to(first, "commit")
    world.step(first)
    world.crash(first)


LOADED_OLD = "2014-11-12T00 was loaded with .*; since it was locked .* counted"

#: For each control: what happens, and what is said of it.
SCHEDULES: dict[str, tuple[Schedule, str]] = {
    "ledger before COPY": (crash_in_between, r"the ledger says \['\w+'\] of .*, its rows are None"),
    "COPY before ledger": (crash_in_between, r"the ledger says \[\] of .*, its rows are \w+"),
    "newest-key planning": (a_hole, "has not planned 2014-11-12T00"),
    "DELETE with plain COPY": (a_part_more, r"rows of 2014-11-12T00 are no manifest's: \['late 1'\]"),
    "FORCE without lock": (two_loaders, r"no manifest's: \['\S+ a', '\S+ a', '\S+ b', '\S+ b'\]"),
    "newest manifest wins although smaller": (a_smaller_export, LOADED_OLD),
    "rule applied by the writer only": (
        a_smaller_export_that_was_begun_later,
        LOADED_OLD,
    ),
    "loader that trusts what it read before the lock": (
        overtaken_before_the_lock,
        LOADED_OLD,
    ),
    "re-check under the lock by ledger alone": (a_truncated_table, "2014-11-12T00 is not in the table"),
    "reading in one session and deleting in another": (
        stale_and_overtaken_twice,
        r"no manifest's: .*a', '\S+ a'.*'late 1', 'late 1', 'late 2'",
    ),
    "two lakes in one schema": (another_project, "no manifest's: .*'of another project"),
}


def test_there_is_a_schedule_for_every_control() -> None:
    assert SCHEDULES.keys() == CONTROLS.keys()


@pytest.mark.parametrize("name", CONTROLS)
def test_what_is_broken_is_caught(name: str) -> None:
    schedule, said = SCHEDULES[name]
    world = world_of(CONTROLS[name])
    try:
        with pytest.raises(Violation) as caught:
            schedule(world)
        assert re.search(said, str(caught.value))
    finally:
        world.close()


@pytest.mark.parametrize("craft", [Craft(), SOUND], ids=["real", "cut into pieces"])
@pytest.mark.parametrize("name", CONTROLS)
def test_the_real_core_stands_the_same_history(name: str, craft: Craft) -> None:
    world = world_of(craft)
    try:
        SCHEDULES[name][0](world)
        if world.final is None:
            world.settle_down()
    finally:
        world.close()


def test_a_run_that_is_overtaken_under_its_lock_names_the_hour_and_the_other_run_loads_it() -> None:
    world = world_of(Craft())
    try:
        first = world.ingest(explicit=True)
        world.run_to(first, "commit")
        grow(world, 1)
        second = world.finish(again(world))
        assert second.actor.place is not None
        assert second.actor.place.kind == "take_lock"
        report = world.finish(first).run.report
        assert report is not None
        assert f"replaced meanwhile, loaded by the next run: {H0}" in report.warnings()
        assert world.finish(second).run.green
        assert world.laws.is_good(str(H0))
        world.settle_down()
    finally:
        world.close()


def test_another_lake_s_loader_that_does_not_see_yet_whose_schema_it_is_writes_nothing() -> None:
    """Its UPDATE takes no row: it does not hold the lock, whatever its session is shown."""
    world = world_of(Craft())
    try:
        stranger = world.ingest(explicit=True, site=world.stranger)
        world.run_to(stranger, "take_lock")
        world.finish(world.ingest(explicit=True), hides=True)
        before = dict(world.account.tables.ledger)
        assert world.finish(stranger).run.green is False
        assert world.account.tables.ledger == before
        world.settle_down()
    finally:
        world.close()
