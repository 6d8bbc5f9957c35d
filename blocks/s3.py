"""The S3 client behind a lake."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from prefect_aws import MinIOCredentials
from prefect_aws.credentials import AwsCredentials

from core.errors import InvalidInput

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@lru_cache(maxsize=8)
def s3_client(
    credentials: AwsCredentials | MinIOCredentials,
    signed_payloads: bool,  # noqa: FBT001  # lru_cache keys are positional
) -> S3Client:
    """One client for each set of credentials: making one costs as much as many requests.

    The checksum that is sent along covers the body already, so it is not signed too unless asked for.
    """
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    ours = Config(
        retries={"mode": "standard", "max_attempts": 3},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=64,
        s3={"payload_signing_enabled": signed_payloads},
    )
    given: dict[str, Any] = credentials.aws_client_parameters.get_params_override()
    config = ours.merge(given.pop("config")) if "config" in given else ours
    if credentials.region_name:
        given["region_name"] = credentials.region_name
    try:
        client: S3Client = credentials.get_boto3_session().client("s3", config=config, **given)
    except (BotoCoreError, ValueError) as error:
        msg = (
            f"An S3 client cannot be made ({type(error).__name__}). Check AWS_REGION and AWS_ENDPOINT_URL_S3."
        )
        raise InvalidInput(msg) from None
    return client
