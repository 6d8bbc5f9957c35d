"""Who may do what in the lake: policies for the bucket, the uploader, the reader and the reader's role.

Pure: values in, policy documents out. Nothing here deletes, and nobody is given more than a run needs.
"""

from __future__ import annotations

import re
from typing import Any

from blocks.names import BUCKET_NAME, KMS_KEY_ARN, LAKE_PREFIX
from core.errors import InvalidInput

Policy = dict[str, Any]

_VERSION = "2012-10-17"
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(root|(user|role)/[\w+=,.@/-]+)", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)

_KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_ENCRYPTION = "s3:x-amz-server-side-encryption"


def bucket_policy(bucket: str, kms_key_arn: str | None = None) -> Policy:
    """What is denied to everybody, the bucket's owner included.

    Requests without TLS; and, with a key, objects that name another one, another kind of encryption,
    or ``aws:kms`` without a key: AWS would take the account's managed key aws/s3, and not the bucket's
    default. An object that names neither is let through, for the default encryption gives it our key.
    That takes ``Null``: StringNotEquals, with and without IfExists, also meets a request in which the
    header is missing, and would refuse it.

    Raises:
        InvalidInput: A bucket or key that cannot be. Permanent.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html,
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html (SSEKMSKeyId),
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    _check_bucket(bucket)
    arn = f"arn:aws:s3:::{bucket}"
    statements = [
        {
            "Sid": "DenyWithoutTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    if kms_key_arn is not None:
        _check_kms_key(kms_key_arn)
        conditions: dict[str, Policy] = {
            "DenyOtherKeys": {"StringNotEquals": {_KEY_ID: kms_key_arn}, "Null": {_KEY_ID: "false"}},
            "DenyOtherEncryption": {
                "StringNotEquals": {_ENCRYPTION: "aws:kms"},
                "Null": {_ENCRYPTION: "false"},
            },
            "DenyAwsManagedKey": {"StringEquals": {_ENCRYPTION: "aws:kms"}, "Null": {_KEY_ID: "true"}},
        }
        for sid, condition in conditions.items():
            statements.append(
                {
                    "Sid": sid,
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:PutObject",
                    "Resource": f"{arn}/*",
                    "Condition": condition,
                }
            )
    return {"Version": _VERSION, "Statement": statements}


def uploader_policy(bucket: str, prefix: str, kms_key_arn: str | None = None) -> Policy:
    """For whoever runs the flows: write and read objects, list the bucket; nothing that deletes.

    ListBucket carries no condition: it is also what makes S3 answer 404 rather than 403 for a key
    that is not there. kms:Decrypt is needed to complete a multipart upload.

    Args:
        prefix: The lake's folder, without a slash at either end; empty for the whole bucket.

    Raises:
        InvalidInput: A bucket, prefix or key that cannot be. Permanent.

    Source: https://aws.amazon.com/premiumsupport/knowledge-center/s3-multipart-kms-decrypt/
    """
    bucket_arn, objects = _resources(bucket, prefix)
    statements: list[Policy] = [
        {
            "Sid": "WriteAndReadTheLake",
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"],
            "Resource": objects,
        },
        {"Sid": "ListTheBucket", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket_arn},
    ]
    return _with_key(statements, ["kms:GenerateDataKey", "kms:Decrypt"], kms_key_arn)


def reader_policy(bucket: str, prefix: str, kms_key_arn: str | None = None) -> Policy:
    """For the role that Snowflake takes: read and list the lake's prefix, nothing that writes.

    Args:
        prefix: As for :func:`uploader_policy`.

    Raises:
        InvalidInput: A bucket, prefix or key that cannot be. Permanent.

    Source: https://docs.snowflake.com/en/user-guide/data-load-s3-config-storage-integration
    """
    bucket_arn, objects = _resources(bucket, prefix)
    listing: Policy = {
        "Sid": "ListTheLake",
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": bucket_arn,
    }
    if prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": [f"{prefix}/*"]}}
    statements: list[Policy] = [
        {
            "Sid": "ReadTheLake",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": objects,
        },
        listing,
        {
            "Sid": "FindTheBucket",
            "Effect": "Allow",
            "Action": "s3:GetBucketLocation",
            "Resource": bucket_arn,
        },
    ]
    return _with_key(statements, ["kms:Decrypt"], kms_key_arn)


def trust_policy(snowflake_user_arn: str, external_id: str) -> Policy:
    """Who may take the reader's role: Snowflake's user, and only with our external id.

    Until Snowflake has named its user (DESC INTEGRATION), the account's own root stands in for it.

    Raises:
        InvalidInput: No ARN of a user, role or account, or an external id that AWS would not take. Permanent.

    Source: https://docs.snowflake.com/en/user-guide/data-load-s3-config-storage-integration
    """
    if not _PRINCIPAL.fullmatch(snowflake_user_arn):
        msg = f"Not the ARN of a user, a role or an account's root: {snowflake_user_arn[:80]!r}."
        raise InvalidInput(msg)
    if not _EXTERNAL_ID.fullmatch(external_id):
        msg = f"Not an external id (2 to 1,224 letters, digits and +=,.@:/-_): {external_id[:80]!r}."
        raise InvalidInput(msg)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": snowflake_user_arn},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }
    return {"Version": _VERSION, "Statement": [statement]}


def _resources(bucket: str, prefix: str) -> tuple[str, str]:
    """The ARNs of the bucket and of the lake's objects."""
    _check_bucket(bucket)
    if prefix and not LAKE_PREFIX.fullmatch(prefix):
        msg = (
            f"Not a prefix for a lake: {prefix[:80]!r}. Write folders without a slash at either end;"
            " wildcards and spaces would mean something else in a policy."
        )
        raise InvalidInput(msg)
    arn = f"arn:aws:s3:::{bucket}"
    return arn, f"{arn}/{prefix}/*" if prefix else f"{arn}/*"


def _with_key(statements: list[Policy], actions: list[str], kms_key_arn: str | None) -> Policy:
    if kms_key_arn is not None:
        _check_kms_key(kms_key_arn)
        statements.append({"Sid": "UseTheKey", "Effect": "Allow", "Action": actions, "Resource": kms_key_arn})
    return {"Version": _VERSION, "Statement": statements}


def _check_bucket(bucket: str) -> None:
    if not BUCKET_NAME.fullmatch(bucket):
        msg = f"Not a bucket's name (3 to 63 lower-case letters, digits, dots and hyphens): {bucket[:80]!r}."
        raise InvalidInput(msg)


def _check_kms_key(arn: str) -> None:
    if not KMS_KEY_ARN.fullmatch(arn):
        msg = f"Not the ARN of a KMS key (arn:aws:kms:<region>:<account>:key/<id>; no alias): {arn[:120]!r}."
        raise InvalidInput(msg)
