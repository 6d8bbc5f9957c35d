"""Refusals, worded as S3 words them.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from xml.sax.saxutils import escape

from emulators.s3.messages import Answer


class S3Error(Exception):
    """An answer other than success.

    Args:
        code: S3's word, which clients go by.
        details: More elements of the XML body.
    """

    def __init__(self, status: int, code: str, message: str, **details: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details

    def answer(self) -> Answer:
        """The error as S3 sends it."""
        request_id = secrets.token_hex(8).upper()
        elements = {"Code": self.code, "Message": self.message, **self.details, "RequestId": request_id}
        inside = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in elements.items())
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inside}</Error>'
        headers = {"content-type": "application/xml", "x-amz-request-id": request_id}
        if "Region" in self.details:  # a HEAD has no body that could say it
            headers["x-amz-bucket-region"] = self.details["Region"]
        return Answer(self.status, headers, body.encode())


def access_denied() -> S3Error:
    """403: a policy says no, or nobody signed."""
    return S3Error(HTTPStatus.FORBIDDEN, "AccessDenied", "Access Denied")


def no_such_bucket(bucket: str) -> S3Error:
    """404: there is no such bucket in this account."""
    return S3Error(
        HTTPStatus.NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist", BucketName=bucket
    )


def no_such_key(key: str) -> S3Error:
    """404: there is no such object."""
    return S3Error(HTTPStatus.NOT_FOUND, "NoSuchKey", "The specified key does not exist.", Key=key)


def no_such_upload(upload_id: str) -> S3Error:
    """404: the multipart upload was completed, aborted, or never begun."""
    return S3Error(
        HTTPStatus.NOT_FOUND,
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been"
        " aborted or completed.",
        UploadId=upload_id,
    )


def precondition_failed(key: str, header: str) -> S3Error:
    """412: a conditional write came too late."""
    return S3Error(
        HTTPStatus.PRECONDITION_FAILED,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        Condition=header,
        Key=key,
    )


def invalid_request(message: str) -> S3Error:
    """400: a request that contradicts itself."""
    return S3Error(HTTPStatus.BAD_REQUEST, "InvalidRequest", message)


def invalid_argument(message: str, name: str, value: str) -> S3Error:
    """400: a header whose value cannot be."""
    return S3Error(HTTPStatus.BAD_REQUEST, "InvalidArgument", message, ArgumentName=name, ArgumentValue=value)
