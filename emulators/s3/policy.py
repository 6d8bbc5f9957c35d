"""The Deny statements of a bucket policy, judged for one request.

There is one key pair, and it belongs to the account: nothing has to be allowed, so Allow statements
say nothing here, and what counts is what a policy denies to everybody. A policy with a condition
that this module cannot judge is refused when it is set; none is ever passed over in silence.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from emulators.s3.errors import S3Error

Context = Mapping[str, str]
Test = Callable[[str, str], bool]


def _like(value: str, pattern: str) -> bool:
    return _wildcard(pattern).fullmatch(value) is not None


def _same(value: str, other: str) -> bool:
    return value == other


def _same_word(value: str, other: str) -> bool:
    return value.lower() == other.lower()


#: Operator: how a value is compared with one of the policy's, and whether the outcome is turned round.
_OPERATORS: dict[str, tuple[Test, bool]] = {
    "Bool": (_same_word, False),
    "StringEquals": (_same, False),
    "StringNotEquals": (_same, True),
    "StringEqualsIgnoreCase": (_same_word, False),
    "StringNotEqualsIgnoreCase": (_same_word, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_like, False),
    "ArnNotEquals": (_like, True),
    "ArnLike": (_like, False),
    "ArnNotLike": (_like, True),
}


@dataclass(frozen=True, slots=True)
class BucketPolicy:
    """A policy as it was set, and what it denies."""

    text: bytes
    denials: tuple[Mapping[str, Any], ...]

    @classmethod
    def parse(cls, text: bytes) -> BucketPolicy:
        """Read a policy.

        Raises:
            S3Error: 400 MalformedPolicy, it is no policy, or holds what cannot be judged here.
        """
        try:
            statements = json.loads(text)["Statement"]
            statements = [statements] if isinstance(statements, dict) else list(statements)
            denials = tuple(statement for statement in statements if statement["Effect"] == "Deny")
            for statement in denials:
                _check(statement)
        except (ValueError, TypeError, KeyError) as error:
            words = f"This policy is not understood: {error}"
            raise S3Error(HTTPStatus.BAD_REQUEST, "MalformedPolicy", words) from error
        return cls(text, denials)

    def denies(self, action: str, resource: str, context: Context) -> bool:
        """Whether one of the Deny statements meets this request.

        Args:
            context: Condition keys in lower case. A key that is not there meets every negated
                operator (with and without IfExists), and no other.
        """
        return any(
            any(_like(action.lower(), pattern.lower()) for pattern in _list(statement["Action"]))
            and any(_like(resource, pattern) for pattern in _list(statement["Resource"]))
            and all(
                _met(operator, context.get(key.lower()), [str(value) for value in _list(values)])
                for operator, tests in statement.get("Condition", {}).items()
                for key, values in tests.items()
            )
            for statement in self.denials
            if _is_everybody(statement["Principal"])
        )


def _met(operator: str, value: str | None, wanted: Sequence[str]) -> bool:
    if operator == "Null":
        return str(value is None).lower() in [word.lower() for word in wanted]
    test, negated = _OPERATORS[operator.removesuffix("IfExists")]
    if value is None:
        return negated or operator.endswith("IfExists")
    return any(test(value, other) for other in wanted) != negated


def _check(statement: Mapping[str, Any]) -> None:
    for name in ("Principal", "Action", "Resource"):
        if name not in statement:
            msg = f"a Deny statement without {name}"
            raise ValueError(msg)
    for operator in statement.get("Condition", {}):
        if operator != "Null" and operator.removesuffix("IfExists") not in _OPERATORS:
            msg = f"the condition operator {operator}"
            raise ValueError(msg)


def _is_everybody(principal: object) -> bool:
    if isinstance(principal, dict):
        return any("*" in _list(names) for names in principal.values())
    return principal == "*"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _wildcard(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
