"""What arrives is compared with every checksum that came with it."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from emulators.s3 import S3Emulator

pytestmark = pytest.mark.slow

BODY = b'{"event": 1}\n' * 100
PART = b"0123456789abcdef" * (5 * 65536)  # 5 MiB, the least that a part may be


def crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Emulator]:
    with S3Emulator(buckets=["lake"]) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def client(s3: S3Emulator) -> Any:
    return s3.client(config=Config(retries={"total_max_attempts": 1}, s3={"payload_signing_enabled": False}))


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def is_absent(client: Any, key: str) -> bool:
    return bool(client.list_objects_v2(Bucket="lake", Prefix=key)["KeyCount"] == 0)


def test_a_right_crc_32_is_stored_and_told_by_head_and_get(client: Any) -> None:
    client.put_object(Bucket="lake", Key="a", Body=BODY, ChecksumAlgorithm="CRC32", ChecksumCRC32=crc32(BODY))
    head = client.head_object(Bucket="lake", Key="a", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (crc32(BODY), "FULL_OBJECT")
    assert head["ContentLength"] == len(BODY)
    got = client.get_object(Bucket="lake", Key="a", ChecksumMode="ENABLED")
    assert got["ChecksumCRC32"] == crc32(BODY)
    assert got["Body"].read() == BODY


def test_a_checksum_without_its_algorithm_is_stored_too(client: Any) -> None:
    client.put_object(Bucket="lake", Key="b", Body=BODY, ChecksumCRC32=crc32(BODY))
    assert client.head_object(Bucket="lake", Key="b", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc32(BODY)
    assert client.list_objects_v2(Bucket="lake", Prefix="b")["Contents"][0]["ChecksumAlgorithm"] == ["CRC32"]


def test_a_checksum_is_told_only_if_asked_for(client: Any) -> None:
    client.put_object(Bucket="lake", Key="c", Body=BODY, ChecksumCRC32=crc32(BODY))
    assert "ChecksumCRC32" not in client.head_object(Bucket="lake", Key="c")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"])
def test_a_wrong_checksum_is_refused_and_nothing_is_stored(client: Any, algorithm: str) -> None:
    length = {"CRC32": 4, "CRC32C": 4, "SHA1": 20, "SHA256": 32, "CRC64NVME": 8}[algorithm]
    wrong = {f"Checksum{algorithm}": base64.b64encode(bytes(length)).decode()}
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket="lake", Key="wrong", Body=BODY, **wrong)
    assert code_of(error) == ("BadDigest", 400)
    assert is_absent(client, "wrong")


@pytest.mark.parametrize(
    ("algorithm", "known"),
    [
        ("CRC32", "cbf43926"),
        ("CRC32C", "e3069283"),
        ("CRC64NVME", "ae8b14860a799888"),
        ("SHA1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
    ],
)
def test_the_known_checksum_of_the_nine_digits_is_taken(client: Any, algorithm: str, known: str) -> None:
    """Source: https://reveng.sourceforge.io/crc-catalogue/all.htm."""
    value = base64.b64encode(bytes.fromhex(known)).decode()
    client.put_object(Bucket="lake", Key=algorithm, Body=b"123456789", **{f"Checksum{algorithm}": value})
    head = client.head_object(Bucket="lake", Key=algorithm, ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == value


def test_moto_alone_stores_a_body_with_a_wrong_checksum() -> None:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        with S3Emulator() as emulator:
            client = emulator.client(endpoint_url=f"http://127.0.0.1:{server.get_host_and_port()[1]}")
        client.create_bucket(Bucket="control")
        client.put_object(Bucket="control", Key="wrong", Body=BODY, ChecksumCRC32=crc32(b"other"))
        assert client.get_object(Bucket="control", Key="wrong")["Body"].read() == BODY
    finally:
        server.stop()


def test_a_wrong_content_md5_is_refused_and_a_right_one_taken(client: Any) -> None:
    client.put_object(Bucket="lake", Key="md5", Body=BODY, ContentMD5=md5(BODY))
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket="lake", Key="md5-wrong", Body=BODY, ContentMD5=md5(b"other"))
    assert code_of(error) == ("BadDigest", 400)
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket="lake", Key="md5-wrong", Body=BODY, ContentMD5="bm8=")
    assert code_of(error) == ("InvalidDigest", 400)
    assert is_absent(client, "md5-wrong")


def raw_put(s3: S3Emulator, key: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """A signed PUT whose headers and body are exactly these."""
    request = AWSRequest("PUT", f"{s3.url}/lake/{key}", headers=headers)
    signer = S3SigV4Auth(Credentials(s3.access_key, s3.secret_key), "s3", s3.region)
    signer.payload = lambda request: headers["x-amz-content-sha256"]  # type: ignore[method-assign]
    signer.add_auth(request)
    connection = HTTPConnection("127.0.0.1", s3.port)
    connection.request("PUT", f"/lake/{key}", body, dict(request.headers.items()))
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def test_a_body_that_is_not_the_signed_one_is_refused(s3: S3Emulator, client: Any) -> None:
    stated = {"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}
    status, answer = raw_put(s3, "hash-wrong", stated, BODY)
    assert status == 400
    assert b"<Code>XAmzContentSHA256Mismatch</Code>" in answer
    assert is_absent(client, "hash-wrong")


def streamed(body: bytes, checksum: str) -> tuple[dict[str, str], bytes]:
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(body)),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]))
    return headers, chunks + b"0\r\nx-amz-checksum-crc32:" + checksum.encode() + b"\r\n\r\n"


def test_a_streamed_body_is_compared_with_the_checksum_in_its_trailer(s3: S3Emulator, client: Any) -> None:
    assert raw_put(s3, "streamed", *streamed(BODY, crc32(BODY)))[0] == 200
    got = client.get_object(Bucket="lake", Key="streamed", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["ChecksumCRC32"]) == (BODY, crc32(BODY))
    assert "ContentEncoding" not in got
    status, answer = raw_put(s3, "streamed-wrong", *streamed(BODY, crc32(b"other")))
    assert (status, b"<Code>BadDigest</Code>" in answer) == (400, True)
    headers, body = streamed(BODY, crc32(BODY))
    status, answer = raw_put(s3, "streamed-wrong", headers, body[: len(body) // 2])
    assert (status, b"<Code>IncompleteBody</Code>" in answer) == (400, True)
    assert is_absent(client, "streamed-wrong")


def upload(client: Any, key: str, parts: list[bytes], **last: Any) -> Any:
    begun = client.create_multipart_upload(
        Bucket="lake", Key=key, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
    )
    where = {"Bucket": "lake", "Key": key, "UploadId": begun["UploadId"]}
    done = [
        {"PartNumber": n, "ETag": client.upload_part(**where, PartNumber=n, Body=part)["ETag"]}
        for n, part in enumerate(parts, 1)
    ]
    return client.complete_multipart_upload(
        **where, MultipartUpload={"Parts": done}, ChecksumType="FULL_OBJECT", **last
    )


def test_a_part_with_a_wrong_checksum_is_refused(client: Any) -> None:
    begun = client.create_multipart_upload(Bucket="lake", Key="parts-wrong", ChecksumAlgorithm="CRC32")
    where = {"Bucket": "lake", "Key": "parts-wrong", "UploadId": begun["UploadId"]}
    with pytest.raises(ClientError) as error:
        client.upload_part(**where, PartNumber=1, Body=BODY, ChecksumCRC32=crc32(b"other"))
    assert code_of(error) == ("BadDigest", 400)
    assert "Parts" not in client.list_parts(**where)
    client.abort_multipart_upload(**where)
    with pytest.raises(ClientError) as error:
        client.upload_part(**where, PartNumber=1, Body=BODY)
    assert code_of(error) == ("NoSuchUpload", 404)


def test_the_checksum_of_the_whole_is_compared_before_parts_become_an_object(client: Any) -> None:
    whole = PART + BODY
    with pytest.raises(ClientError) as error:
        upload(client, "whole-wrong", [PART, BODY], ChecksumCRC32=crc32(b"other"))
    assert code_of(error) == ("BadDigest", 400)
    assert is_absent(client, "whole-wrong")
    answer = upload(client, "whole", [PART, BODY], ChecksumCRC32=crc32(whole))
    assert answer["ChecksumCRC32"] == crc32(whole)
    head = client.head_object(Bucket="lake", Key="whole", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (crc32(whole), "FULL_OBJECT")
    assert client.get_object(Bucket="lake", Key="whole")["Body"].read() == whole


def test_the_size_of_the_whole_is_compared_before_parts_become_an_object(client: Any) -> None:
    sizes: list[dict[str, Any]] = [{"MpuObjectSize": len(PART) + 1}, {"MpuObjectSize": len(PART)}]
    with pytest.raises(ClientError) as error:
        upload(client, "size-wrong", [PART, BODY], **sizes[1])
    assert code_of(error) == ("InvalidRequest", 400)
    with pytest.raises(ClientError):
        upload(client, "size-wrong", [PART], **sizes[0])
    assert is_absent(client, "size-wrong")
    upload(client, "size", [PART], **sizes[1])
    assert client.head_object(Bucket="lake", Key="size")["ContentLength"] == len(PART)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("body", [BODY, b"1"])
def test_a_body_that_is_changed_on_the_way_is_refused_once(s3: S3Emulator, signed: bool, body: bytes) -> None:
    config = Config(retries={"total_max_attempts": 1}, s3={"payload_signing_enabled": signed})
    client = s3.client(config=config)
    s3.fail("corrupted", key="^corrupted$")
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket="lake", Key="corrupted", Body=body, ChecksumCRC32=crc32(body))
    expected = "XAmzContentSHA256Mismatch" if signed else "BadDigest"
    assert code_of(error) == (expected, 400)
    assert is_absent(client, "corrupted")
    client.put_object(Bucket="lake", Key="corrupted", Body=body, ChecksumCRC32=crc32(body))
    assert client.get_object(Bucket="lake", Key="corrupted")["Body"].read() == body
    client.delete_object(Bucket="lake", Key="corrupted")


def test_a_streamed_body_that_is_changed_on_the_way_is_refused(s3: S3Emulator, client: Any) -> None:
    s3.fail("corrupted", key="^streamed-corrupted$")
    status, answer = raw_put(s3, "streamed-corrupted", *streamed(BODY, crc32(BODY)))
    assert (status, b"<Code>BadDigest</Code>" in answer) == (400, True)
    assert is_absent(client, "streamed-corrupted")
    assert raw_put(s3, "streamed-corrupted", *streamed(BODY, crc32(BODY)))[0] == 200


def test_a_body_without_checksums_that_is_changed_on_the_way_is_stored(s3: S3Emulator) -> None:
    """What the checksum is for."""
    s3.fail("corrupted", key="^unguarded$")
    assert raw_put(s3, "unguarded", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, BODY)[0] == 200
    stored = s3.client().get_object(Bucket="lake", Key="unguarded")["Body"].read()
    assert stored != BODY
    assert len(stored) == len(BODY)


@pytest.mark.parametrize("streaming", [True, False])
def test_a_request_without_data_has_nothing_to_be_changed(
    s3: S3Emulator, client: Any, streaming: bool
) -> None:
    s3.fail("corrupted", key="^nothing$")
    headers, body = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, b""
    if streaming:
        headers, body = streamed(b"", crc32(b""))
        body = body[body.index(b"0\r\nx-amz") :]
    assert raw_put(s3, "nothing", headers, body)[0] == 200
    s3.fail("corrupted", method="GET", key="^nothing$")
    assert client.get_object(Bucket="lake", Key="nothing")["Body"].read() == b""


def test_a_part_that_is_too_small_is_refused(client: Any) -> None:
    with pytest.raises(ClientError) as error:
        upload(client, "small-parts", [BODY, BODY])
    assert code_of(error) == ("EntityTooSmall", 400)


def test_a_put_above_the_limit_is_refused() -> None:
    with S3Emulator(buckets=["lake"], largest_put_bytes=1000) as small:
        client = small.client()
        client.put_object(Bucket="lake", Key="fits", Body=bytes(1000))
        with pytest.raises(ClientError) as error:
            client.put_object(Bucket="lake", Key="too-large", Body=bytes(1001))
    assert code_of(error) == ("EntityTooLarge", 400)
