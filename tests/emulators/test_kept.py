"""What the emulators keep in a folder is there again for the next process."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from emulators.children import StackError
from emulators.ground import KeyPair
from emulators.identity import Identity
from emulators.kept import StaleState, claim, write_privately
from emulators.s3 import S3Emulator
from emulators.snowflake import SnowflakeEmulator

pytestmark = pytest.mark.slow


def lake(folder: Path | None) -> S3Emulator:
    return S3Emulator(folder=folder, access_key="key", secret_key="secret", region="eu-west-1")


def test_objects_come_back_as_they_were(tmp_path: Path) -> None:
    with lake(tmp_path / "s3") as s3:
        client = s3.client()
        client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        for body in (b"first", b"second"):
            client.put_object(
                Bucket="bucket", Key="a/ü", Body=body, Metadata={"m": "1"}, ChecksumAlgorithm="CRC32"
            )
        client.put_object(Bucket="bucket", Key="gone", Body=b"")
        client.delete_object(Bucket="bucket", Key="gone")
        account, before = s3.account, client.head_object(Bucket="bucket", Key="a/ü", ChecksumMode="ENABLED")
        versions = [one["VersionId"] for one in client.list_object_versions(Bucket="bucket")["Versions"]]
    with lake(tmp_path / "s3") as s3:
        client = s3.client()
        after = client.head_object(Bucket="bucket", Key="a/ü", ChecksumMode="ENABLED")
        for fact in ("ETag", "LastModified", "Metadata", "ChecksumCRC32", "VersionId", "ContentLength"):
            assert after[fact] == before[fact]
        assert client.get_object(Bucket="bucket", Key="a/ü")["Body"].read() == b"second"
        assert [one["Key"] for one in client.list_objects_v2(Bucket="bucket")["Contents"]] == ["a/ü"]
        assert [
            one["VersionId"] for one in client.list_object_versions(Bucket="bucket")["Versions"]
        ] == versions
        assert client.get_bucket_versioning(Bucket="bucket")["Status"] == "Enabled"
        assert s3.account == account
        with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
            client.put_object(Bucket="bucket", Key="a/ü", Body=b"", IfNoneMatch="*")


def test_a_policy_holds_after_a_restart(tmp_path: Path) -> None:
    deny = {
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": "arn:aws:s3:::bucket/no",
            }
        ]
    }
    with lake(tmp_path / "s3") as s3:
        client = s3.client()
        client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        client.put_bucket_policy(Bucket="bucket", Policy=json.dumps(deny))
    with lake(tmp_path / "s3") as s3:
        client = s3.client()
        client.put_object(Bucket="bucket", Key="yes", Body=b"")
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.put_object(Bucket="bucket", Key="no", Body=b"")


def test_what_was_deleted_for_good_stays_away(tmp_path: Path) -> None:
    with lake(tmp_path / "s3") as s3:
        client = s3.client()
        for bucket in ("bucket", "empty"):
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        for key in ("one", "two", "three"):
            client.put_object(Bucket="bucket", Key=key, Body=b"")
        client.delete_object(Bucket="bucket", Key="one")
        client.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "two"}]})
        client.delete_bucket(Bucket="empty")
    with lake(tmp_path / "s3") as s3:
        assert [one["Key"] for one in s3.client().list_objects_v2(Bucket="bucket")["Contents"]] == ["three"]
        assert [one["Name"] for one in s3.client().list_buckets()["Buckets"]] == ["bucket"]


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    with lake(None) as s3:
        s3.client().create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
    with lake(None) as s3:
        assert s3.client().list_buckets()["Buckets"] == []


def test_an_account_comes_back_with_its_rows_and_objects(tmp_path: Path) -> None:
    emulator = SnowflakeEmulator(folder=tmp_path / "snowflake")
    for statement in (
        "CREATE ROLE LOADER",
        "CREATE DATABASE D",
        "CREATE SCHEMA D.S",
        "CREATE TABLE D.S.T (hour TIMESTAMP_NTZ NOT NULL, text VARCHAR(7), raw VARIANT)",
        "CREATE VIEW D.S.V AS SELECT text FROM D.S.T",
        "CREATE STAGE D.S.STAGED URL = 's3://b/p/'",
        """INSERT INTO D.S.T SELECT '2026-01-01T00:00:00', 'ü', PARSE_JSON('{"a": 1}')""",
        "BEGIN",
        "INSERT INTO D.S.T SELECT '2026-01-01T01:00:00', 'open', NULL",
    ):
        emulator.execute(statement)
    described = emulator.execute("DESCRIBE TABLE D.S.T").rows
    emulator.stop()
    emulator.account.fake.duck_conn.close()
    again = SnowflakeEmulator(folder=tmp_path / "snowflake")
    try:
        assert fetched(again, "SELECT text, raw:a::INT AS a FROM D.S.T") == [{"TEXT": "ü", "A": 1}]
        assert fetched(again, "SELECT * FROM D.S.V") == [{"TEXT": "ü"}]
        again.execute("USE SCHEMA D.S")
        assert again.execute("DESCRIBE TABLE D.S.T").rows == described
        assert {"LOADER"} <= again.account.objects.roles
        assert again.account.objects.stages.keys() == {("D", "S", "STAGED")}
        again.execute("DROP DATABASE D")
    finally:
        again.stop()
        again.account.fake.duck_conn.close()
    last = SnowflakeEmulator(folder=tmp_path / "snowflake")
    assert last.execute("SHOW DATABASES").rows == []
    last.account.fake.duck_conn.close()


def fetched(emulator: SnowflakeEmulator, sql: str) -> list[dict[str, object]]:
    table = emulator.execute(sql).table
    assert table is not None
    return list(table.to_pylist())


def test_a_folder_of_another_release_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    with lake(tmp_path / "s3"):
        pass
    (tmp_path / "s3" / "written-by.json").write_text('{"moto": "1.0"}')
    with pytest.raises(StaleState, match=r"was written with moto 1\.0.*remove .* and start again"):
        lake(tmp_path / "s3")


def test_another_layout_is_refused_even_by_the_same_releases(tmp_path: Path) -> None:
    claim(tmp_path / "s3", ["moto"])
    claim(tmp_path / "s3", ["moto"])
    note = tmp_path / "s3" / "written-by.json"
    note.write_text(note.read_text().replace('"layout": "1"', '"layout": "2"'))
    with pytest.raises(StaleState, match=r"was written with layout 2, moto .*, and this is layout 1, moto"):
        claim(tmp_path / "s3", ["moto"])


def account(folder: Path) -> None:
    emulator = SnowflakeEmulator(folder=folder)
    emulator.execute("CREATE DATABASE D")
    emulator.stop()
    emulator.account.fake.duck_conn.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a stack that has ended."""
    home = tmp_path_factory.mktemp("stack")
    Identity.of(home).keep(home)
    KeyPair.in_folder(home)
    with lake(home / "s3") as s3:
        s3.client().create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
    account(home / "snowflake")
    return home


def open_account(home: Path) -> None:
    account(home / "snowflake")


def open_lake(home: Path) -> None:
    with lake(home / "s3"):
        pass


@pytest.mark.parametrize(
    ("file", "again"),
    [
        ("stack.json", Identity.of),
        ("snowflake.p8", KeyPair.in_folder),
        ("snowflake.pub", KeyPair.in_folder),
        ("s3/written-by.json", open_lake),
        ("s3/lake.sqlite", open_lake),
        ("snowflake/written-by.json", open_account),
        ("snowflake/objects.pickle", open_account),
        ("snowflake/D.duckdb", open_account),
    ],
)
def test_a_damaged_file_is_named_in_one_sentence_that_says_what_to_do(
    kept: Path, tmp_path: Path, file: str, again: Callable[[Path], object]
) -> None:
    home = tmp_path / "home"
    shutil.copytree(kept, home)
    (home / file).write_bytes(b"no longer what it was" * 999)
    for beside in ("s3/lake.sqlite-wal", "snowflake/D.duckdb.wal"):
        (home / beside).unlink(missing_ok=True)
    way = f"make down, then remove {home}, and make up starts anew."
    with pytest.raises((StackError, StaleState)) as told:
        again(home)
    message = str(told.value)
    assert message.startswith(f"{home / file} cannot be read (")
    assert message.endswith(way)
    assert "\n" not in message


def test_a_damaged_object_of_the_lake_is_no_traceback_either(kept: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(kept, home)
    with sqlite3.connect(home / "s3" / "lake.sqlite") as file:
        file.execute("UPDATE buckets SET settings = x'00'")
    file.close()
    with pytest.raises(StaleState, match=r"lake\.sqlite cannot be read \(.*make up starts anew"):
        open_lake(home)


@pytest.mark.parametrize(
    ("kept_there", "why"),
    [
        ({"layout": 2, "identity": {}}, "layout 2, and this is 1"),
        ({"layout": 1, "identity": {"lake": {"AWS_SECRET_KEY": ["hidden"]}}}, "it has another form"),
        ({"layout": 1, "identity": []}, "it has another form"),
        ({"amplitude": {}}, "'layout'"),
        ([], "list indices must be integers or slices, not str"),
    ],
)
def test_an_identity_of_another_form_is_refused_without_its_secrets(
    tmp_path: Path, kept_there: object, why: str
) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(kept_there))
    with pytest.raises(StackError, match=re.escape(f"cannot be read ({why})")) as told:
        Identity.of(tmp_path)
    assert "hidden" not in str(told.value)


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object) -> object:
            done.append(name)
            return real(*args)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    write_privately(tmp_path / "file", b"new")
    assert done == ["fsync", "replace", "fsync"], "the content, its name, and the folder that holds the name"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
