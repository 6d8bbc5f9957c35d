"""What S3 does with a request, step by step."""

from __future__ import annotations

import re
import traceback
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from emulators.s3 import chunked, operations, uploads
from emulators.s3.checksums import verify_body
from emulators.s3.errors import S3Error, access_denied
from emulators.s3.faults import FaultPlan, break_off, corrupt
from emulators.s3.kept import KeptBuckets
from emulators.s3.listing import Question, page_of, render
from emulators.s3.messages import Answer, Hangup, Message
from emulators.s3.objects import SSE, SSE_KEY, complete_head, put_object
from emulators.s3.policy import BucketPolicy
from emulators.s3.signature import verify_signature
from emulators.s3.store import Store

_OTHER_SERVICES = frozenset({"sts", "kms", "iam"})
_BODY_STORED = frozenset({"PUT", "POST"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the emulator saw it.

    Args:
        action: What it asked for, as ``s3:PutObject``.
        status: What was answered, or would have been if the answer was lost; 0 if it was reset.
    """

    method: str
    bucket: str
    key: str
    query: str
    action: str
    status: int


@dataclass(slots=True)
class Application:
    """Answers messages. Safe to share between threads.

    Args:
        assume_tls: Judge ``aws:SecureTransport`` as if TLS ended in front of the emulator.
        kept: Where changes are written down before they are answered; None for nowhere.
    """

    store: Store
    access_key: str
    secret_key: str
    assume_tls: bool
    faults: FaultPlan = field(default_factory=FaultPlan)
    requests: deque[Request] = field(default_factory=lambda: deque(maxlen=1_000_000))
    policies: dict[str, BucketPolicy] = field(default_factory=dict)
    kept: KeptBuckets | None = None

    def __call__(self, message: Message) -> Answer:
        """Answer one message.

        Raises:
            Hangup: a planned fault resets the connection.
        """
        fault = self.faults.take(message)
        status = 0
        try:
            if fault is not None:
                break_off(fault)
            answer = self._answer(corrupt(message) if fault and fault.kind == "corrupted" else message)
            if self.kept is not None and answer.status < HTTPStatus.MULTIPLE_CHOICES:
                self.kept.keep(message, self.store, self.policies)
            status = answer.status
        except S3Error as error:
            answer = error.answer()
            status = answer.status
        except Hangup:
            raise
        except Exception:  # noqa: BLE001  whatever happens inside is a 500 outside
            traceback.print_exc()
            answer = S3Error(500, "InternalError", "The emulator failed.").answer()
            status = answer.status
        finally:
            self._log(message, status)
        if fault and fault.kind == "held-answer":
            fault.gate.hold()
        if fault and fault.kind == "lost-answer":
            raise Hangup
        return answer

    def _answer(self, message: Message) -> Answer:
        service = verify_signature(message, self.access_key, self.secret_key, self.store.region)
        if service in _OTHER_SERVICES:
            return self.store.ask_other(message)
        if service != "s3":
            text = f"The emulator has no {service}."
            raise S3Error(HTTPStatus.NOT_IMPLEMENTED, "NotImplemented", text)
        if chunked.is_chunked(message.headers):
            message = chunked.decode(message)
        checksum = None
        if message.method in _BODY_STORED:
            checksum = verify_body(uploads.headers_of_body(message), message.body)
        if message.bucket and not (
            message.method == "PUT" and operations.action_of(message) == "s3:CreateBucket"
        ):
            self.store.bucket(message.bucket)
            self._judge(message)
        if operations.is_plain_put(message):
            return put_object(self.store, message, checksum)
        if operations.is_listing(message):
            return self._list(message)
        if operations.is_policy(message):
            return self._policy(message)
        if uploads.is_step(message):
            return uploads.take_step(self.store, message, checksum)
        return self._ask_moto(message)

    def _ask_moto(self, message: Message) -> Answer:
        if message.method in {"GET", "HEAD"}:
            answer = self.store.ask_s3(message)
            return complete_head(self.store, message, answer) if message.key else answer
        if not message.key and message.method == "PUT" and not message.query:
            return self._create_bucket(message)
        with self.store.writing(message.bucket, message.key):
            answer = self.store.ask_s3(message)
        if operations.action_of(message) == "s3:DeleteBucket" and answer.status == HTTPStatus.NO_CONTENT:
            self.policies.pop(message.bucket, None)
        return answer

    def _create_bucket(self, message: Message) -> Answer:
        if message.bucket in self.store.backend.buckets:
            text = "Your previous request to create the named bucket succeeded and you already own it."
            raise S3Error(HTTPStatus.CONFLICT, "BucketAlreadyOwnedByYou", text, BucketName=message.bucket)
        self.store.disown(message.bucket)
        return self.store.ask_s3(message)

    def _judge(self, message: Message) -> None:
        policy = self.policies.get(message.bucket)
        if policy is None:
            return
        context = {"aws:securetransport": str(self.assume_tls).lower()}
        context |= {f"s3:{name}": text for name, text in message.headers.items() if name.startswith("x-amz-")}
        context |= {f"s3:{name}": text for name, text in message.query.items()}
        upload: Any = uploads.upload_of(self.store, message)
        if upload is not None:  # parts are encrypted as the upload was begun
            begun = {f"s3:{SSE}": upload.sse_encryption, f"s3:{SSE_KEY}": upload.kms_key_id}
            context |= {name: text for name, text in begun.items() if text}
        if policy.denies(operations.action_of(message), operations.resource_of(message), context):
            raise access_denied()

    def _list(self, message: Message) -> Answer:
        question = Question.read(message.query)
        found: dict[str, Any] = {}

        def is_live(name: str) -> bool:
            stored = self.store.newest(message.bucket, name)
            if stored is not None:
                found[name] = stored
            return stored is not None

        page = page_of(self.store.names(message.bucket), question, is_live)
        return render(message.bucket, question, page, found)

    def _policy(self, message: Message) -> Answer:
        if message.method == "PUT":
            self.policies[message.bucket] = BucketPolicy.parse(message.body)
            return Answer(HTTPStatus.NO_CONTENT)
        policy = self.policies.get(message.bucket)
        if message.method == "DELETE":
            self.policies.pop(message.bucket, None)
            return Answer(HTTPStatus.NO_CONTENT)
        if policy is None:
            text = "The bucket policy does not exist"
            raise S3Error(HTTPStatus.NOT_FOUND, "NoSuchBucketPolicy", text, BucketName=message.bucket)
        return Answer(HTTPStatus.OK, {"content-type": "application/json"}, policy.text)

    def _log(self, message: Message, status: int) -> None:
        action = operations.action_of(message) if re.fullmatch("[A-Z]+", message.method) else ""
        self.requests.append(
            Request(message.method, message.bucket, message.key, message.raw_query, action, status)
        )
