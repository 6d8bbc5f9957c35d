"""What an administrator applies by hand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from infra.__main__ import main
from infra.policies import bucket_policy, trust_policy
from infra.snowflake import external_id_for

ROLE = "arn:aws:iam::123456789012:role/reader"
LAKE = ["--bucket", "lake", "--prefix", "/amp/", "--env-file", "/dev/null"]
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd"
USER = "arn:aws:iam::444455556666:user/abcd1234-s"
PLACE = ["--database", "ANALYTICS", "--schema", "AMPLITUDE", "--warehouse", "LOADING", "--role", "LOADER"]


def test_the_script_has_the_two_way_trust_in_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", *LAKE, *PLACE, "--role-arn", ROLE]) == 0
    text = capsys.readouterr().out
    places = [
        text.index(words)
        for words in (
            "USE ROLE ACCOUNTADMIN;",
            "CREATE STORAGE INTEGRATION IF NOT EXISTS AMPLITUDE_LAKE_AMPLITUDE",
            "DESC INTEGRATION AMPLITUDE_LAKE_AMPLITUDE;",
            "STORAGE_AWS_IAM_USER_ARN",
            "reader_trust_policy alone",
            "CREATE STAGE IF NOT EXISTS amplitude_lake",
            "GRANT USAGE ON STAGE",
            "SELECT SYSTEM$VALIDATE_STORAGE_INTEGRATION('AMPLITUDE_LAKE_AMPLITUDE', 's3://lake/amp/', ",
        )
    ]
    assert places == sorted(places)
    assert external_id_for("lake", "amp") in text
    assert "s3://lake/amp/" in text
    assert "DEFAULT_ROLE = LOADER\n" in text


@pytest.mark.parametrize("more", [[], ["--kms-key", KEY], ["--kms-key", KEY, "--external-id", "theirs"]])
def test_the_command_that_the_script_names_prints_the_trust_of_the_same_lake_alone(
    more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lake = ["--bucket", "lake", "--prefix", "a/b(1)", "--env-file", "/dev/null", *more]
    assert main(["sql", *lake, *PLACE, "--role-arn", ROLE]) == 0
    script = capsys.readouterr().out
    (line,) = (line for line in script.splitlines() if "python -m infra policies" in line)
    python, m, infra, *arguments = shlex.split(line.removeprefix("--").strip())
    assert (python, m, infra, arguments[-1]) == ("python", "-m", "infra", "…")
    assert (KEY in arguments) == bool(more)
    assert main([*arguments[:-1], USER, "--env-file", "/dev/null"]) == 0
    external_id = "theirs" if "theirs" in more else external_id_for("lake", "a/b(1)")
    documents = json.loads(capsys.readouterr().out)
    assert documents == {"reader_trust_policy": trust_policy(USER, external_id)}
    assert f"STORAGE_AWS_EXTERNAL_ID = '{external_id}'" in script


def test_readers_are_granted_the_views_if_they_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", *LAKE, *PLACE, "--role-arn", ROLE, "--reader-role", "ANALYST"]) == 0
    assert "GRANT SELECT ON VIEW ANALYTICS.AMPLITUDE.events TO ROLE ANALYST;" in capsys.readouterr().out
    assert main(["sql", *LAKE, *PLACE, "--role-arn", ROLE]) == 0
    assert "ANALYST;" not in capsys.readouterr().out


def needed_by(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The options that --help marks as needed by a command."""
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    marks = re.findall(r"(--[a-z-]+) [A-Z_]+ (?:(?!--).)*?\(needed: ([a-z, ]+)\)", shown)
    return {option for option, commands in marks if command in commands.split(", ")}


@pytest.mark.parametrize("command", ["sql", "policies"])
def test_what_is_marked_as_needed_is_needed_and_enough(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--bucket", "lake", *PLACE, "--role-arn", ROLE]
    values = dict(zip(words[::2], words[1::2], strict=True))
    needed = needed_by(command, capsys)
    for left_out in [None, *needed]:
        given = [word for option in needed if option != left_out for word in (option, values[option])]
        assert main([command, "--env-file", "/dev/null", *given]) == (2 if left_out else 0)
        assert (f"{left_out}" in capsys.readouterr().err) == bool(left_out)


def test_help_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "Print what an administrator applies: `sql` for Snowflake, `policies` for AWS." in shown
    assert "``" not in shown


def test_policies_are_json_and_the_account_stands_in_for_snowflake_s_user(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["policies", *LAKE, "--role-arn", ROLE]) == 0
    documents = json.loads(capsys.readouterr().out)
    assert documents["bucket_policy"] == bucket_policy("lake")
    root = trust_policy("arn:aws:iam::123456789012:root", external_id_for("lake", "amp"))
    assert documents["reader_trust_policy"] == root


def test_values_come_from_the_environment_s_names_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    env = tmp_path / ".env"
    env.write_text("BUCKET_NAME=pond\nBUCKET_PREFIX=amp/\n")
    monkeypatch.setenv("BUCKET_NAME", "lake")
    assert main(["policies", "--env-file", str(env)]) == 0
    documents = json.loads(capsys.readouterr().out)
    assert documents["uploader_policy"]["Statement"][0]["Resource"] == "arn:aws:s3:::lake/amp/*"
    assert "reader_trust_policy" not in documents


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["policies", "--env-file", "/dev/null"], "BUCKET_NAME"),
        (["policies", *LAKE, "--kms-key", "alias/x"], "alias/x"),
        (["sql", *LAKE, *PLACE], "--role-arn"),
        (["sql", *LAKE, "--role-arn", ROLE], "SNOWFLAKE_DATABASE"),
        (["sql", *LAKE, *PLACE, "--role-arn", ROLE, "--user", "a b"], "a b"),
        (["sql", *LAKE, *PLACE, "--role-arn", ROLE, "--reader-role", "a b"], "the reader role: 'a b'"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert named in told.err
    assert told.err.count("\n") == 1
