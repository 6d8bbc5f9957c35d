"""A test that this machine cannot run is skipped with its reason, and fails in CI."""

from __future__ import annotations

import pytest

from tests.needs import need, need_program


def test_what_is_there_is_not_missed() -> None:
    need("/usr/bin/git", "git", {"CI": "true"})
    need_program("sh", "to run this line")


@pytest.mark.parametrize("environment", [{}, {"CI": ""}, {"CI": "false"}])
def test_on_a_machine_of_somebody_s_the_test_is_skipped_with_its_reason(environment: dict[str, str]) -> None:
    with pytest.raises(pytest.skip.Exception, match="needs git, to clone the code"):
        need(None, "git, to clone the code", environment)


@pytest.mark.parametrize("environment", [{"CI": "true"}, {"CI": "1"}, {"CI": "True"}])
def test_in_ci_it_fails_and_names_what_is_missing(environment: dict[str, str]) -> None:
    with pytest.raises(pytest.fail.Exception, match="missing in CI: root, for mounts"):
        need(False, "root, for mounts", environment)


def test_a_program_that_is_not_on_the_path_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs no-such-program, to see this"):
        need_program("no-such-program", "to see this")
