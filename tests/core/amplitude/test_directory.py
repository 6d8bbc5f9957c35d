"""Names in an archive: known, sorted into hours, or strangers."""

from __future__ import annotations

import pickle
from zipfile import ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.amplitude.directory import Directory, Member, shown, sort_members
from core.errors import StrangeArchive, is_transient
from core.hours import ExportHour, ExportWindow
from tests.core.amplitude.archives import APP, DAY, HOUR, ONE_HOUR, name_of, stem_of


def entry(name: str, *, size_bytes: int = 20, crc32: int = 7) -> ZipInfo:
    info = ZipInfo(name)
    info.file_size, info.CRC = size_bytes, crc32
    return info


def sort(*names: str, window: ExportWindow = ONE_HOUR) -> Directory:
    return sort_members([entry(name) for name in names], window)


def strange(*names: str) -> str:
    with pytest.raises(StrangeArchive) as error:
        sort(*names)
    assert not is_transient(error.value)
    assert str(error.value).isprintable()
    return str(error.value)


def test_a_member_is_known_by_its_name() -> None:
    directory = sort_members([entry(name_of(HOUR, 3), size_bytes=1_234, crc32=0x1A2B3C4D)], ONE_HOUR)
    member = Member(name_of(HOUR, 3), stem_of(HOUR, 3), APP, HOUR, 1_234, 0x1A2B3C4D)
    assert directory == Directory(APP, {HOUR: (member,)})
    assert pickle.loads(pickle.dumps(directory)) == directory


def test_no_members_belong_to_no_project() -> None:
    assert sort() == Directory(None, {})


@given(
    st.lists(st.tuples(st.sampled_from(list(DAY)), st.integers(0, 12)), unique=True, max_size=20),
    st.booleans(),
)
def test_each_member_is_in_its_hour_and_in_no_other(
    members: list[tuple[ExportHour, int]], flat: bool
) -> None:
    names = [name_of(hour, part).split("/")[flat] if flat else name_of(hour, part) for hour, part in members]
    directory = sort(*names, window=DAY)
    found = {(hour, member.stem) for hour, held in directory.hours.items() for member in held}
    assert found == {(hour, stem_of(hour, part)) for hour, part in members}
    assert list(directory.hours) == sorted({hour for hour, _ in members})
    for held in directory.hours.values():
        assert list(held) == sorted(held, key=lambda member: member.stem)


@given(st.permutations([name_of(hour, part) for hour in (HOUR - 1, HOUR) for part in range(3)]))
def test_the_order_in_the_zip_makes_no_difference(names: list[str]) -> None:
    assert sort(*names, window=DAY) == sort(*sorted(names), window=DAY)


def test_the_hour_is_read_with_a_leading_zero_and_without() -> None:
    seven = ExportHour.parse("2025-12-23T07")
    for name in (f"{APP}_2025-12-23_7#0.json.gz", f"{APP}_2025-12-23_07#0.json.gz"):
        assert [member.stem for member in sort(name, window=DAY).hours[seven]] == [f"{APP}_2025-12-23_7#0"]


@pytest.mark.parametrize(
    "name",
    [
        f"{APP}/{APP}_2025-12-23_19_complete",
        f"{APP}_2025-12-23_19_complete",
        f"{APP}/readme.txt",
        "README.md",
        "readme",
        f"{APP}/-ORG_2025-12-23_19#0.json.gz",
        f"{APP}/-1234_2025-12-23_19#0.gz",
        f"{APP}/",
    ],
)
def test_a_short_list_is_passed_over_and_named(name: str) -> None:
    directory = sort(name, name_of())
    assert directory.skipped == (repr(name),)
    assert list(directory.hours) == [HOUR]


@pytest.mark.parametrize(
    "name",
    [
        "stranger.bin",
        f"{APP}/{APP}_2025-12-23_19#0.json",
        f"{APP}/{APP}_2025-12-23_19#0.json.gz.bak",
        f"{APP}/{APP}_2025-12-23_19#0.csv.gz",
        f"{APP}/{APP}_2025-12-23_19.json.gz",
        f"{APP}/{APP}_2025-12-23_19#.json.gz",
        f"{APP}/{APP}_2025-12-23.json.gz",
        f"{APP}/{APP}_2025-12-23_19#0.JSON.GZ",
        f"{APP}/{APP}_2025-12-23_190#0.json.gz",
        f" {APP}_2025-12-23_19#0.json.gz",
        f"{APP}_2025-12-23_19#0.json.gz\n",
        f"../{APP}_2025-12-23_19#0.json.gz",
        f"{APP}/../{APP}_2025-12-23_19#0.json.gz",
        f"/{APP}/{APP}_2025-12-23_19#0.json.gz",
        f"{APP}/{APP}/{APP}_2025-12-23_19#0.json.gz",
        f"{APP}\\{APP}_2025-12-23_19#0.json.gz",
        f"{APP}_٢٠٢٥-12-23_19#0.json.gz",  # digits, but not Amplitude's
        "../readme.txt",
        "notes/readme.txt",
        "readme.exe",
        f"{APP}/data_complete.json.gz",
        pytest.param(
            f"{APP}/{APP}_2025-12-23_19#0.json.gz\0.bak",
        ),
    ],
)
def test_any_other_name_is_a_stranger_and_could_be_data(name: str) -> None:
    assert "stranger" in strange(name_of(HOUR, 1), name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{APP + 1}/{APP}_2025-12-23_19#0.json.gz", "folder"),
        (f"{APP}_2025-12-23_24#0.json.gz", "does not exist"),
        (f"{APP}_2025-02-30_19#0.json.gz", "does not exist"),
        (f"{APP}_0000-12-23_19#0.json.gz", "does not exist"),
        (f"{APP}_2025-12-23_18#0.json.gz", "outside"),
        (f"{APP}_2025-12-23_20#0.json.gz", "outside"),
        (f"{APP}_2024-12-23_19#0.json.gz", "outside"),
    ],
)
def test_a_member_that_was_not_asked_for_is_named(name: str, said: str) -> None:
    message = strange(name)
    assert said in message
    assert name in message


def test_a_second_project_is_named() -> None:
    other = name_of(HOUR, 1, app=APP + 1)
    message = strange(name_of(), other)
    assert other in message
    assert str(APP) in message


@pytest.mark.parametrize(
    "again",
    [
        name_of(),
        f"{APP}_2025-12-23_19#0.json.gz",
        f"{APP}/{APP}_2025-12-23_19#00.json.gz",
    ],
    ids=["same name", "without its folder", "spelled differently"],
)
def test_a_member_that_is_there_twice_is_named(again: str) -> None:
    assert "twice" in strange(name_of(), again)


@given(st.text(max_size=300))
def test_a_foreign_name_is_shown_on_one_short_line(name: str) -> None:
    text = shown(name)
    assert len(text) <= 80
    assert text.isprintable()
    assert ascii(name).startswith(text[:70])


def test_a_message_says_what_is_wrong_with_which_name_and_what_to_do() -> None:
    assert strange("stranger.bin") == (
        "The archive holds a stranger, 'stranger.bin'. Nothing of this archive is taken, "
        "for what is not recognised could be data. Please report the name."
    )
    assert strange(name_of(), name_of()) == f"'{name_of()}' is in the archive twice."


@pytest.mark.parametrize(("length", "cut"), [(78, False), (79, True), (5_000, True)])
def test_a_foreign_name_is_cut_only_if_it_is_too_long(length: int, cut: bool) -> None:
    name = "x" * length
    assert shown(name) == (f"'{name[:75]}…'" if cut else f"'{name}'")
