"""S3 over HTTP: conditional writes, listings, faults, life and end of the process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.s3 import S3Emulator
from emulators.s3.listing import Question, page_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Emulator]:
    with S3Emulator() as emulator:
        yield emulator


@pytest.fixture
def bucket(s3: S3Emulator, request: pytest.FixtureRequest) -> str:
    name = f"bucket-{abs(hash(request.node.name))}"
    s3.client().create_bucket(Bucket=name)
    s3.heal()
    return name


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_conditional_put_does_not_replace(s3: S3Emulator, bucket: str) -> None:
    client = s3.client()
    client.put_object(Bucket=bucket, Key="lake.json", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket=bucket, Key="lake.json", Body=b"second", IfNoneMatch="*")
    assert code_of(error) == ("PreconditionFailed", 412)
    assert client.get_object(Bucket=bucket, Key="lake.json")["Body"].read() == b"first"


def test_of_many_conditional_puts_at_once_exactly_one_succeeds(s3: S3Emulator, bucket: str) -> None:
    client = s3.client(config=Config(retries={"total_max_attempts": 1}, max_pool_connections=16))

    def put(number: int) -> int | None:
        try:
            client.put_object(Bucket=bucket, Key="lake.json", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError:
            return None
        return number

    with ThreadPoolExecutor(16) as pool:
        winners = [number for number in pool.map(put, range(48)) if number is not None]
    assert len(winners) == 1
    assert client.get_object(Bucket=bucket, Key="lake.json")["Body"].read() == str(winners[0]).encode()


def test_if_match_wants_the_object_as_it_was(s3: S3Emulator, bucket: str) -> None:
    client = s3.client()
    etag = client.put_object(Bucket=bucket, Key="a", Body=b"1")["ETag"]
    client.put_object(Bucket=bucket, Key="a", Body=b"2", IfMatch=etag)
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket=bucket, Key="a", Body=b"3", IfMatch=etag)
    assert code_of(error) == ("PreconditionFailed", 412)


def test_a_listing_is_in_byte_order_with_a_thousand_keys_a_page(s3: S3Emulator, bucket: str) -> None:
    client = s3.client()
    names = [f"m/{n:04}" for n in range(1001)] + [
        "m/Z",
        "m/z",
        "m/é",
        "m/\U0001f600",
        "m/\uffee",
        "m/ +&<",
        "n",
    ]
    for name in names:
        s3._store.backend.put_object(bucket, name, b"")
    client.put_object(Bucket=bucket, Key="m/last", Body=b"")
    pages = list(client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="m/"))
    listed = [item["Key"] for page in pages for item in page["Contents"]]
    assert listed == sorted([*names[:-1], "m/last"], key=str.encode)
    assert [page["KeyCount"] for page in pages] == [1000, 8]
    after = client.list_objects_v2(Bucket=bucket, Prefix="m/", StartAfter="m/0998")
    assert [item["Key"] for item in after["Contents"]][:2] == ["m/0999", "m/1000"]


def test_a_delimiter_rolls_up_what_is_below_it(s3: S3Emulator, bucket: str) -> None:
    client = s3.client()
    for name in ("a/1", "a/2", "b", "c/d/1", "c/e/1", "gone/1"):
        client.put_object(Bucket=bucket, Key=name, Body=b"")
    client.delete_object(Bucket=bucket, Key="gone/1")
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = client.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=1, **token)
        seen += [item["Key"] for item in page.get("Contents", [])]
        seen += [item["Prefix"] for item in page.get("CommonPrefixes", [])]
        assert page["KeyCount"] == 1
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert seen == ["a/", "b", "c/"]
    below = client.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix="c/", StartAfter="c/d/")
    assert [item["Prefix"] for item in below["CommonPrefixes"]] == ["c/e/"]
    with pytest.raises(ClientError) as error:
        client.list_objects_v2(Bucket=bucket, ContinuationToken="made-up")
    assert code_of(error) == ("InvalidArgument", 400)


@settings(max_examples=200, deadline=None)
@given(
    names=st.sets(st.text("ab/é\U0001f600", min_size=1, max_size=6), max_size=30),
    prefix=st.text("ab/", max_size=2),
    delimiter=st.sampled_from(["", "/"]),
    start_after=st.text("ab/", max_size=3),
    max_keys=st.integers(1, 5),
)
def test_pages_add_up_to_the_listing(
    names: set[str], prefix: str, delimiter: str, start_after: str, max_keys: int
) -> None:
    def rolled(name: str) -> str:
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        return name if cut < 0 else name[: cut + 1]

    wanted = {rolled(name) for name in names if name.startswith(prefix) and name > start_after}
    expected = sorted((entry for entry in wanted if entry > start_after), key=str.encode)
    listed: list[str] = []
    token: str | None = None
    while True:
        question = Question(prefix, delimiter, start_after, token, max_keys)
        page = page_of(sorted(names), question, lambda _: True)
        listed += page.entries
        token = page.next_token
        if token is None:
            break
        assert len(page.entries) == max_keys
    assert listed == expected


def test_versions_and_delete_markers_are_kept(s3: S3Emulator, bucket: str) -> None:
    client = s3.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    client.put_object(Bucket=bucket, Key="a", Body=b"2")
    client.delete_object(Bucket=bucket, Key="a")
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert client.get_object(Bucket=bucket, Key="a", VersionId=first)["Body"].read() == b"1"
    client.put_object(Bucket=bucket, Key="a", Body=b"3", IfNoneMatch="*")
    assert client.get_object(Bucket=bucket, Key="a", Range="bytes=0-0")["Body"].read() == b"3"


def test_a_missing_object_is_missing(s3: S3Emulator, bucket: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.client().get_object(Bucket=bucket, Key="none")
    assert code_of(error) == ("NoSuchKey", 404)
    with pytest.raises(ClientError) as error:
        s3.client().head_object(Bucket=bucket, Key="none")
    assert code_of(error) == ("404", 404)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("error", ("InternalError", 500)),
        ("slow-down", ("SlowDown", 503)),
        ("denied", ("AccessDenied", 403)),
        ("conflict", ("ConditionalRequestConflict", 409)),
    ],
)
def test_a_planned_refusal_happens_as_often_as_planned(
    s3: S3Emulator, bucket: str, kind: Any, expected: tuple[str, int]
) -> None:
    client = s3.client()
    s3.fail(kind, key="^events/", times=2)
    client.put_object(Bucket=bucket, Key="manifests/a", Body=b"")
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            client.put_object(Bucket=bucket, Key="events/a", Body=b"")
        assert code_of(error) == expected
    client.put_object(Bucket=bucket, Key="events/a", Body=b"")


def test_a_reset_stores_nothing_and_a_lost_answer_stores_everything(s3: S3Emulator, bucket: str) -> None:
    client = s3.client()
    for kind, stored in (("reset", 0), ("lost-answer", 1)):
        s3.fail(kind)  # type: ignore[arg-type]
        with pytest.raises(ConnectionClosedError):
            client.put_object(Bucket=bucket, Key=kind, Body=b"x")
        assert client.list_objects_v2(Bucket=bucket, Prefix=kind)["KeyCount"] == stored


def test_every_request_is_counted(s3: S3Emulator, bucket: str) -> None:
    s3.forget_requests()
    client = s3.client(config=Config(retries={"total_max_attempts": 3}))
    s3.fail("slow-down", key="^counted$")
    client.put_object(Bucket=bucket, Key="counted", Body=b"")
    assert (s3.count("PUT", "^counted$"), s3.count("PUT", "^counted$", 200)) == (2, 1)
    assert [request.action for request in s3.requests] == ["s3:PutObject"] * 2


def test_a_connection_stays_open_and_small_answers_do_not_wait(s3: S3Emulator) -> None:
    connection = HTTPConnection("127.0.0.1", s3.port)
    connection.connect()
    before = connection.sock
    start = time.perf_counter()
    for _ in range(50):
        connection.request("GET", "/bucket/key")
        assert b"AccessDenied" in connection.getresponse().read()
    assert connection.sock is before
    assert time.perf_counter() - start < 1.5  # 2 s, if every answer waited for a delayed ACK
    connection.close()


def test_two_emulators_share_nothing() -> None:
    with S3Emulator(buckets=["lake"]) as one, S3Emulator(buckets=["lake"]) as two:
        one.client().put_object(Bucket="lake", Key="a", Body=b"x")
        assert two.client().list_objects_v2(Bucket="lake")["KeyCount"] == 0
        two.client().create_bucket(Bucket="pond")
        with pytest.raises(ClientError):
            one.client().head_bucket(Bucket="pond")
        with S3Emulator(buckets=["lake"]):
            pass
        assert one.client().get_object(Bucket="lake", Key="a")["Body"].read() == b"x"


def start(*flags: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "emulators.s3", "--bucket", "lake", *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_process_cleanly(number: signal.Signals) -> None:
    process, line = start()
    assert line.startswith("listening on http://127.0.0.1:")
    process.send_signal(number)
    assert process.communicate(timeout=10)[0] == ""
    assert process.returncode == 0


def test_the_end_of_standard_input_ends_the_process() -> None:
    process, _ = start("--exit-with-parent")
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_taken_port_is_named(s3: S3Emulator) -> None:
    process, line = start("--port", str(s3.port))
    process.communicate(timeout=10)
    assert (line, process.returncode) == ("", 2)


def test_a_held_request_goes_on_or_is_dropped_when_its_gate_opens(s3: S3Emulator, bucket: str) -> None:
    client = s3.client()
    gates = [
        s3.hold(key="^dropped$"),
        s3.hold(key="^stored$"),
        s3.hold(key="^third-", skip=2),
        s3.hold(key="^answer$", answer=True),
    ]
    keys = ["dropped", "stored", "third-c", "answer"]
    for key in ("third-a", "third-b"):
        client.put_object(Bucket=bucket, Key=key, Body=b"1")
    with ThreadPoolExecutor() as pool:
        puts = [pool.submit(client.put_object, Bucket=bucket, Key=key, Body=b"1") for key in keys]
        assert all(gate.reached(10) for gate in gates)
        there = {found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]}
        assert there == {"third-a", "third-b", "answer"}
        assert not any(put.done() for put in puts)
        for gate in gates:
            gate.let_go(on=gate is not gates[0])
        with pytest.raises(ConnectionClosedError):
            puts[0].result()
        for put in puts[1:]:
            put.result()
    there = {found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert there == {"third-a", "third-b", "third-c", "stored", "answer"}
