"""What a request asks for, in the words of S3's policies.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from emulators.s3.messages import Message

_KEY_DEFAULTS = {
    "GET": "GetObject",
    "HEAD": "GetObject",
    "PUT": "PutObject",
    "POST": "PutObject",
    "DELETE": "DeleteObject",
}
_KEY_SUBRESOURCES = {
    "acl": "ObjectAcl",
    "tagging": "ObjectTagging",
    "retention": "ObjectRetention",
    "legal-hold": "ObjectLegalHold",
    "attributes": "ObjectAttributes",
}
_BUCKET_SUBRESOURCES = {
    "acl": "BucketAcl",
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "notification": "BucketNotification",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "replication": "ReplicationConfiguration",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
_BUCKET_DEFAULTS = {
    "GET": "ListBucket",
    "HEAD": "ListBucket",
    "PUT": "CreateBucket",
    "POST": "DeleteObject",
    "DELETE": "DeleteBucket",
}
_VERBS = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}


def action_of(message: Message) -> str:
    """The action that a policy would have to allow, such as ``s3:PutObject``.

    Every step of a multipart upload but its end by abort is ``s3:PutObject``.
    """
    return "s3:" + (_key_action(message) if message.key else _bucket_action(message))


def resource_of(message: Message) -> str:
    """The ARN of the bucket or the object."""
    return f"arn:aws:s3:::{message.bucket}" + (f"/{message.key}" if message.key else "")


def is_plain_put(message: Message) -> bool:
    """Whether it is a PutObject, and neither a copy, a part, nor a setting of an object."""
    return bool(
        message.method == "PUT"
        and message.key
        and "x-amz-copy-source" not in message.headers
        and not message.query.keys() & {"uploadId", *_KEY_SUBRESOURCES}
    )


def is_listing(message: Message) -> bool:
    """Whether it is a ListObjectsV2."""
    return message.method == "GET" and not message.key and message.query.get("list-type") == "2"


def is_policy(message: Message) -> bool:
    """Whether it reads or sets the bucket's policy."""
    return bool(message.bucket) and not message.key and "policy" in message.query


def _key_action(message: Message) -> str:
    query = message.query
    for name, noun in _KEY_SUBRESOURCES.items():
        if name in query:
            return _VERBS[message.method] + noun
    if "uploadId" in query:
        parts = {"GET": "ListMultipartUploadParts", "DELETE": "AbortMultipartUpload"}
        return parts.get(message.method, "PutObject")
    action = _KEY_DEFAULTS.get(message.method, "GetObject")
    if "versionId" in query and action in {"GetObject", "DeleteObject"}:
        return f"{action}Version"
    return action


def _bucket_action(message: Message) -> str:
    query = message.query
    for name, noun in _BUCKET_SUBRESOURCES.items():
        if name in query:
            return _VERBS[message.method] + noun
    if not message.bucket:
        return "ListAllMyBuckets"
    if "uploads" in query:
        return "ListBucketMultipartUploads"
    if "versions" in query:
        return "ListBucketVersions"
    return _BUCKET_DEFAULTS.get(message.method, "ListBucket")
