"""The accounts that the embedded stack stands on, set up with the policies and statements of a real one."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from emulators.children import StackError
from emulators.kept import unreadable, write_privately
from infra.policies import bucket_policy
from infra.snowflake import WarehouseNames, external_id_for, setup_statements

BUCKET = "amplitude-lake"
PREFIX = "amplitude"
REGION = "eu-west-1"
USER = "AMPLITUDE_LOADER"
NAMES = WarehouseNames(
    database="ANALYTICS",
    schema="AMPLITUDE",
    warehouse="LOADING",
    role="AMPLITUDE_LOADER",
    integration="AMPLITUDE_LAKE",
    role_arn="arn:aws:iam::123456789012:role/amplitude-lake-reader",
    external_id=external_id_for(BUCKET, PREFIX),
    stage_url=f"s3://{BUCKET}/{PREFIX}/",
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An RSA key pair, as files."""

    private: Path
    public: Path

    @classmethod
    def in_folder(cls, folder: Path) -> KeyPair:
        """The folder's pair, made if it has none; only its owner may read it.

        Raises:
            StackError: One of the halves is damaged, or they do not belong together.
        """
        pair = cls(folder / "snowflake.p8", folder / "snowflake.pub")
        if pair.public.exists():  # written last
            pair._check(folder)
            return pair
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_privately(pair.private, text)
        write_privately(pair.public, _public_half(key))
        return pair

    def _check(self, home: Path) -> None:
        try:
            key = serialization.load_pem_private_key(self.private.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise StackError(unreadable(self.private, home, error)) from None
        if _public_half(key) != self.public.read_bytes():
            mismatch = ValueError(f"it is not the other half of {self.private.name}")
            raise StackError(unreadable(self.public, home, mismatch))


def _public_half(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def prepare_bucket(url: str, access_key: str, secret_key: str) -> str:
    """Create the KMS key and the bucket, with everything that a real lake's bucket has.

    Returns:
        The key's ARN.
    """
    given: dict[str, Any] = {
        "endpoint_url": url,
        "aws_access_key_id": access_key,
        "aws_secret_access_key": secret_key,
        "region_name": REGION,
        "config": Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    }
    kms: Any = boto3.client("kms", **given)
    s3: Any = boto3.client("s3", **given)
    key = kms.create_key(Description="amplitude lake")["KeyMetadata"]["Arn"]
    # Half a set-up that was kept, and cut off, is gone on with.
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_public_access_block(
        Bucket=BUCKET,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    owner = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=owner)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    encryption = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(
        Bucket=BUCKET,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": encryption, "BucketKeyEnabled": True}]
        },
    )
    abort = {
        "ID": "abort-incomplete-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [abort]})
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(bucket_policy(BUCKET, key)))
    return str(key)


def prepare_warehouse(port: int, private_key: Path) -> None:
    """Create what :mod:`infra.snowflake` says, as ACCOUNTADMIN, over the connector."""
    from snowflake import connector

    with connector.connect(
        account="emulator",
        user=USER,
        private_key_file=str(private_key),
        role="ACCOUNTADMIN",
        host="127.0.0.1",
        port=port,
        protocol="http",
        login_timeout=10,
        network_timeout=10,
        session_parameters={"TIMEZONE": "UTC"},
    ) as connection:
        cursor = connection.cursor()
        for statement in setup_statements(NAMES):
            cursor.execute(statement)
