"""The S3 client behind a lake."""

from __future__ import annotations

from typing import Any

import pytest
from prefect_aws.client_parameters import AwsClientParameters
from prefect_aws.credentials import AwsCredentials
from pydantic import SecretStr

from blocks.s3 import s3_client
from core.errors import InvalidInput

ELSEWHERE = "http://127.0.0.1:9000"


def credentials(
    *, endpoint: str | None = None, secret: str = "secret-4", region: str | None = "eu-west-1"
) -> AwsCredentials:
    return AwsCredentials(
        aws_access_key_id="AKIA-3",
        aws_secret_access_key=SecretStr(secret),
        region_name=region,
        aws_client_parameters=AwsClientParameters(endpoint_url=endpoint),
    )


def config_of(client: Any) -> Any:
    """What boto3's types do not tell."""
    return client.meta.config


def test_equal_credentials_share_a_client() -> None:
    assert s3_client(credentials(), False) is s3_client(credentials(), False)


@pytest.mark.parametrize(
    ("other", "signed"),
    [
        (credentials(endpoint=ELSEWHERE), False),
        (credentials(secret="another"), False),
        (credentials(region="us-east-1"), False),
        (credentials(), True),
    ],
)
def test_another_endpoint_secret_region_or_way_to_sign_takes_another_client(
    other: AwsCredentials, signed: bool
) -> None:
    assert s3_client(credentials(), False) is not s3_client(other, signed)


@pytest.mark.parametrize("signed", [False, True])
def test_payloads_are_signed_only_if_asked_for(signed: bool) -> None:
    assert config_of(s3_client(credentials(), signed)).s3["payload_signing_enabled"] is signed


def test_endpoint_and_region_are_those_of_the_credentials() -> None:
    elsewhere = s3_client(credentials(endpoint=ELSEWHERE), False)
    assert (elsewhere.meta.endpoint_url, elsewhere.meta.region_name) == (ELSEWHERE, "eu-west-1")
    assert s3_client(credentials(), False).meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"


def test_what_the_credentials_say_of_a_client_comes_before_what_we_say() -> None:
    theirs = credentials()
    theirs.aws_client_parameters = AwsClientParameters(config={"read_timeout": 7})
    config = config_of(s3_client(theirs, False))
    assert (config.read_timeout, config.connect_timeout) == (7, 10)
    assert config_of(s3_client(credentials(), False)).read_timeout == 60


@pytest.mark.parametrize(
    "wrong", [credentials(region="EU (Ireland)"), credentials(endpoint="no-scheme:9000")]
)
def test_a_region_or_an_endpoint_that_cannot_be_is_told_as_an_error_of_ours(wrong: AwsCredentials) -> None:
    with pytest.raises(InvalidInput, match="AWS_REGION and AWS_ENDPOINT_URL_S3") as raised:
        s3_client(wrong, False)
    assert "secret-4" not in str(raised.value)
