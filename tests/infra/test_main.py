"""What an administrator applies by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.__main__ import main
from infra.policies import bucket_policy, trust_policy
from infra.snowflake import external_id_for

ROLE = "arn:aws:iam::123456789012:role/reader"
LAKE = ["--bucket", "lake", "--prefix", "/amp/", "--env-file", "/dev/null"]
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
            "CREATE STAGE IF NOT EXISTS amplitude_lake",
            "GRANT USAGE ON STAGE",
        )
    ]
    assert places == sorted(places)
    assert external_id_for("lake", "amp") in text
    assert "s3://lake/amp/" in text


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
