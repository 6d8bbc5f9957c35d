"""Who may do what: signatures and bucket policies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from emulators.s3 import S3Emulator
from emulators.s3.errors import S3Error
from emulators.s3.policy import BucketPolicy
from infra.policies import bucket_policy

pytestmark = pytest.mark.slow

KEY = "arn:aws:kms:eu-west-1:123456789012:key/ours"
OTHER_KEY = "arn:aws:kms:eu-west-1:123456789012:key/theirs"
KEY_HEADER = "s3:x-amz-server-side-encryption-aws-kms-key-id"
PLAIN_HTTP = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def deny_put(condition: dict[str, Any]) -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::lake/*",
        "Condition": condition,
    }


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def s3() -> Iterator[S3Emulator]:
    with S3Emulator(buckets=["lake"], region="eu-west-1", assume_tls=True) as emulator:
        yield emulator


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_an_unknown_access_key_is_refused(s3: S3Emulator) -> None:
    with pytest.raises(ClientError) as error:
        s3.client(aws_access_key_id="stranger").list_objects_v2(Bucket="lake")
    assert code_of(error) == ("InvalidAccessKeyId", 403)


def test_a_wrong_secret_is_refused(s3: S3Emulator) -> None:
    with pytest.raises(ClientError) as error:
        s3.client(aws_secret_access_key="wrong").list_objects_v2(Bucket="lake")
    assert code_of(error) == ("SignatureDoesNotMatch", 403)


def signed_for(s3: S3Emulator, region: str) -> Request:
    url = f"{s3.url}/lake?list-type=2"
    request = AWSRequest("GET", url)
    S3SigV4Auth(Credentials(s3.access_key, s3.secret_key), "s3", region).add_auth(request)
    return Request(url, headers=dict(request.headers))


def test_a_signature_for_another_region_is_refused_and_the_right_one_named(s3: S3Emulator) -> None:
    with pytest.raises(HTTPError) as error:
        urlopen(signed_for(s3, "us-east-1"), timeout=5)
    told = error.value.read()
    assert error.value.code == 400
    assert b"<Code>AuthorizationHeaderMalformed</Code>" in told
    assert b"<Region>eu-west-1</Region>" in told
    assert urlopen(signed_for(s3, "eu-west-1"), timeout=5).status == 200


@pytest.mark.parametrize("operation", ["head_bucket", "list_objects_v2"])
def test_boto3_asks_again_in_the_region_that_the_refusal_names(s3: S3Emulator, operation: str) -> None:
    astray = s3.client(region_name="us-east-1")
    for _ in range(2):
        getattr(astray, operation)(Bucket="lake")
    assert [request.status for request in s3.requests] == [400, 200, 200]  # the second time it knows


def test_sts_and_iam_take_a_signature_for_their_own_region(s3: S3Emulator) -> None:
    assert s3.client("sts", region_name="us-east-1").get_caller_identity()["Account"] == s3.account
    assert s3.client("iam", region_name="us-east-1").list_roles()["Roles"] == []


def test_an_unsigned_request_is_refused(s3: S3Emulator) -> None:
    with pytest.raises(HTTPError) as error:
        urlopen(f"{s3.url}/lake/a", timeout=5)
    assert error.value.code == 403
    assert b"<Code>AccessDenied</Code>" in error.value.read()


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(
    "key", ["plain", "date=2025-12-23/hour=19/a b+c~d#1.json", "ümlaut/%25", "a//b/../c"]
)
def test_the_right_secret_is_taken_whatever_the_key(s3: S3Emulator, key: str, signed: bool) -> None:
    settings = Config(s3={"payload_signing_enabled": signed, "addressing_style": "path"})
    client = s3.client(config=settings)
    client.put_object(Bucket="lake", Key=key, Body=b"x", Metadata={"my_key": "1"})
    assert client.get_object(Bucket="lake", Key=key)["Body"].read() == b"x"
    assert client.list_objects_v2(Bucket="lake", Prefix=key)["Contents"][0]["Key"] == key
    assert client.head_object(Bucket="lake", Key=key)["Metadata"] == {"my_key": "1"}


def test_sts_and_kms_ask_for_the_same_secret(s3: S3Emulator) -> None:
    assert s3.client("sts").get_caller_identity()["Account"] == s3.account
    assert s3.client("kms").create_key()["KeyMetadata"]["Arn"].startswith("arn:aws:kms:eu-west-1:")
    with pytest.raises(ClientError) as error:
        s3.client("sts", aws_secret_access_key="wrong").get_caller_identity()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_missing_bucket_is_named(s3: S3Emulator) -> None:
    for operation, more in (("list_objects_v2", {}), ("put_object", {"Key": "a"}), ("get_bucket_policy", {})):
        with pytest.raises(ClientError) as error:
            getattr(s3.client(), operation)(Bucket="nowhere", **more)
        assert code_of(error) == ("NoSuchBucket", 404)


def test_plain_http_is_denied_unless_tls_is_assumed_in_front(s3: S3Emulator) -> None:
    s3.client().put_bucket_policy(Bucket="lake", Policy=policy(PLAIN_HTTP))
    s3.client().put_object(Bucket="lake", Key="a", Body=b"x")
    with S3Emulator(buckets=["lake"]) as bare:
        bare.client().put_object(Bucket="lake", Key="a", Body=b"x")
        bare.client().put_bucket_policy(Bucket="lake", Policy=policy(PLAIN_HTTP))
        key = {"Key": "a"}
        for operation, more in (("put_object", key), ("get_object", key), ("list_objects_v2", {})):
            with pytest.raises(ClientError) as error:
                getattr(bare.client(), operation)(Bucket="lake", **more)
            assert code_of(error) == ("AccessDenied", 403)


def test_another_kms_key_is_denied_and_ours_is_told_by_head(s3: S3Emulator) -> None:
    client = s3.client()
    client.put_bucket_policy(
        Bucket="lake", Policy=policy(deny_put({"StringNotEqualsIfExists": {KEY_HEADER: KEY}}))
    )
    ours = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY, "BucketKeyEnabled": True}
    client.put_object(Bucket="lake", Key="a", Body=b"x", **ours)
    head = client.head_object(Bucket="lake", Key="a")
    assert {name: head[name] for name in ours} == ours
    for theirs in ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": OTHER_KEY}, {}):
        with pytest.raises(ClientError) as error:
            client.put_object(Bucket="lake", Key="b", Body=b"x", **theirs)
        assert code_of(error) == ("AccessDenied", 403)
    with pytest.raises(ClientError) as error:
        client.create_multipart_upload(
            Bucket="lake", Key="b", ServerSideEncryption="aws:kms", SSEKMSKeyId=OTHER_KEY
        )
    assert code_of(error) == ("AccessDenied", 403)
    assert client.list_objects_v2(Bucket="lake")["KeyCount"] == 1


def test_a_multipart_upload_with_our_key_passes_with_all_its_parts(s3: S3Emulator) -> None:
    client = s3.client()
    client.put_bucket_policy(
        Bucket="lake", Policy=policy(deny_put({"StringNotEqualsIfExists": {KEY_HEADER: KEY}}))
    )
    ours = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY, "BucketKeyEnabled": True}
    begun = client.create_multipart_upload(Bucket="lake", Key="a", **ours)
    assert {name: begun[name] for name in ours} == ours
    where = {"Bucket": "lake", "Key": "a", "UploadId": begun["UploadId"]}
    part = {"PartNumber": 1, "ETag": client.upload_part(**where, PartNumber=1, Body=b"x")["ETag"]}
    client.complete_multipart_upload(**where, MultipartUpload={"Parts": [part]})
    head = client.head_object(Bucket="lake", Key="a")
    assert {name: head[name] for name in ours} == ours


def test_without_headers_the_default_encryption_of_the_bucket_is_taken(s3: S3Emulator) -> None:
    client = s3.client()
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
    client.put_bucket_encryption(Bucket="lake", ServerSideEncryptionConfiguration=rules)
    client.put_object(Bucket="lake", Key="a", Body=b"x")
    head = client.head_object(Bucket="lake", Key="a")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"], head["BucketKeyEnabled"]) == (
        "aws:kms",
        KEY,
        True,
    )


KMS_BY_DEFAULT = {
    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}}]
}


def test_aws_kms_without_a_key_is_the_managed_key_and_not_the_bucket_s(s3: S3Emulator) -> None:
    client = s3.client()
    client.put_bucket_encryption(Bucket="lake", ServerSideEncryptionConfiguration=KMS_BY_DEFAULT)
    client.put_object(Bucket="lake", Key="a", Body=b"x", ServerSideEncryption="aws:kms")
    begun = client.create_multipart_upload(Bucket="lake", Key="b", ServerSideEncryption="aws:kms")
    managed = f"arn:aws:kms:eu-west-1:{s3.account}:alias/aws/s3"
    assert client.head_object(Bucket="lake", Key="a")["SSEKMSKeyId"] == managed
    assert begun["SSEKMSKeyId"] == managed
    client.put_object(Bucket="lake", Key="c", Body=b"x")
    assert client.head_object(Bucket="lake", Key="c")["SSEKMSKeyId"] == KEY
    client.put_object(Bucket="lake", Key="d", Body=b"x", ServerSideEncryption="AES256")
    assert "SSEKMSKeyId" not in client.head_object(Bucket="lake", Key="d")


def test_the_lake_s_policy_denies_the_managed_key_and_lets_the_default_through(s3: S3Emulator) -> None:
    client = s3.client()
    key = new_key(s3)
    client.put_bucket_policy(Bucket="lake", Policy=json.dumps(bucket_policy("lake", key)))
    client.put_object(Bucket="lake", Key="a", Body=b"x")
    client.put_object(Bucket="lake", Key="b", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    for operation, more in (("put_object", {"Body": b"x"}), ("create_multipart_upload", {})):
        with pytest.raises(ClientError) as error:
            getattr(client, operation)(Bucket="lake", Key="c", ServerSideEncryption="aws:kms", **more)
        assert code_of(error) == ("AccessDenied", 403)


def new_key(s3: S3Emulator) -> str:
    return str(s3.client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"ServerSideEncryption": "aws:kmz"},
        {"SSEKMSKeyId": KEY},
        {"ServerSideEncryption": "AES256", "SSEKMSKeyId": KEY},
    ],
)
def test_an_encryption_that_s3_does_not_know_is_refused(s3: S3Emulator, wrong: dict[str, str]) -> None:
    with pytest.raises(ClientError) as error:
        s3.client().put_object(Bucket="lake", Key="a", Body=b"x", **wrong)
    assert code_of(error) == ("InvalidArgument", 400)
    assert s3.client().list_objects_v2(Bucket="lake")["KeyCount"] == 0


def test_a_policy_is_read_back_and_deleted(s3: S3Emulator) -> None:
    client = s3.client()
    with pytest.raises(ClientError) as error:
        client.get_bucket_policy(Bucket="lake")
    assert code_of(error) == ("NoSuchBucketPolicy", 404)
    client.put_bucket_policy(Bucket="lake", Policy=policy(PLAIN_HTTP))
    assert json.loads(client.get_bucket_policy(Bucket="lake")["Policy"]) == json.loads(policy(PLAIN_HTTP))
    client.delete_bucket_policy(Bucket="lake")
    with pytest.raises(ClientError):
        client.get_bucket_policy(Bucket="lake")


def test_a_condition_that_cannot_be_judged_is_refused_when_it_is_set(s3: S3Emulator) -> None:
    strange = deny_put({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    with pytest.raises(ClientError) as error:
        s3.client().put_bucket_policy(Bucket="lake", Policy=policy(strange))
    assert code_of(error) == ("MalformedPolicy", 400)


@pytest.mark.parametrize(
    ("condition", "value", "denied"),
    [
        ({"StringNotEquals": {KEY_HEADER: KEY}}, None, True),
        ({"StringNotEqualsIfExists": {KEY_HEADER: KEY}}, None, True),
        ({"StringNotEquals": {KEY_HEADER: [KEY, OTHER_KEY]}}, OTHER_KEY, False),
        ({"StringEquals": {KEY_HEADER: OTHER_KEY}}, None, False),
        ({"StringEqualsIfExists": {KEY_HEADER: OTHER_KEY}}, None, True),
        ({"StringLike": {KEY_HEADER: "*:key/th?irs"}}, OTHER_KEY, True),
        ({"Null": {KEY_HEADER: "true"}}, None, True),
        ({"Null": {KEY_HEADER: "false"}}, None, False),
        ({"Null": {KEY_HEADER: "false"}, "StringNotEquals": {KEY_HEADER: KEY}}, None, False),
        ({"Null": {KEY_HEADER: "false"}, "StringNotEquals": {KEY_HEADER: KEY}}, OTHER_KEY, True),
        ({"Null": {KEY_HEADER: "false"}, "StringNotEquals": {KEY_HEADER: KEY}}, KEY, False),
    ],
)
def test_a_missing_key_meets_negated_operators_only(
    condition: dict[str, Any], value: str | None, denied: bool
) -> None:
    judge = BucketPolicy.parse(policy(deny_put(condition)).encode())
    context = {} if value is None else {KEY_HEADER: value}
    assert judge.denies("s3:PutObject", "arn:aws:s3:::lake/a", context) is denied
    assert not judge.denies("s3:GetObject", "arn:aws:s3:::lake/a", context)
    assert not judge.denies("s3:PutObject", "arn:aws:s3:::pond/a", context)


def test_what_is_denied_to_somebody_else_is_not_denied_to_us() -> None:
    statement = PLAIN_HTTP | {"Principal": {"AWS": "arn:aws:iam::999999999999:root"}}
    judge = BucketPolicy.parse(policy(statement).encode())
    assert not judge.denies("s3:GetObject", "arn:aws:s3:::lake/a", {"aws:securetransport": "false"})
    with pytest.raises(S3Error):
        BucketPolicy.parse(b"[]")
