"""``python -m infra``: what an administrator applies by hand, if nobody may do it for him.

``sql`` prints Snowflake's part as a script with the two-way trust in its place, ``policies`` prints
AWS's part as JSON. Nothing is applied, and no secret is read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from blocks.environment import read_environment
from core.errors import InvalidInput
from infra.policies import Policy, bucket_policy, reader_policy, trust_policy, uploader_policy
from infra.snowflake import (
    WarehouseNames,
    account_statements,
    describe_statement,
    external_id_for,
    grant_statements,
    schema_statements,
)

#: Flag, the name it is also read under, its default, and what it means.
_FLAGS = (
    ("bucket", "BUCKET_NAME", None, "the lake's bucket"),
    ("prefix", "BUCKET_PREFIX", "", "the lake's folder in it (default: the whole bucket)"),
    ("kms-key", "KMS_KEY_ID", "", "ARN of the key that encrypts it (default: the bucket's own)"),
    ("role-arn", "", "", "the AWS role that Snowflake takes to read the lake"),
    ("external-id", "", "", "default: made from bucket and prefix"),
    ("snowflake-user-arn", "", "", "STORAGE_AWS_IAM_USER_ARN, once DESC INTEGRATION has told it"),
    ("database", "SNOWFLAKE_DATABASE", None, "Snowflake's database"),
    ("schema", "SNOWFLAKE_SCHEMA", None, "one for each Amplitude project"),
    ("warehouse", "SNOWFLAKE_WAREHOUSE", None, "what the loader runs on"),
    ("role", "SNOWFLAKE_ROLE", None, "the loader's role"),
    ("user", "SNOWFLAKE_USER", "", "who is given that role (default: nobody)"),
    ("integration", "", "", "the storage integration (default: AMPLITUDE_LAKE_ and the schema)"),
)


def main(arguments: list[str] | None = None) -> int:
    """Print; 0, or 2 after a mistake, told in one line."""
    parser = argparse.ArgumentParser(prog="python -m infra", description=__doc__)
    parser.add_argument("what", choices=("sql", "policies"))
    parser.add_argument("--env-file", type=Path, default=Path(".env"), help="default: .env")
    for flag, name, default, meaning in _FLAGS:
        also = f" [{name}]" if name else ""
        needed = "; needed" if default is None and flag == "bucket" else ""
        parser.add_argument(f"--{flag}", help=f"{meaning}{also}{needed}")
    options = parser.parse_args(arguments)
    try:
        values = _Values(vars(options), read_environment(options.env_file))
        text = _script(values) if options.what == "sql" else _documents(values)
    except InvalidInput as error:
        sys.stderr.write(f"infra: {' '.join(str(error).split())}\n")
        return 2
    sys.stdout.write(text)
    return 0


class _Values:
    """Flags first, then the environment, then defaults."""

    def __init__(self, flags: Mapping[str, str | None], environment: Mapping[str, str]) -> None:
        self._flags = flags
        self._environment = environment

    def get(self, flag: str) -> str:
        """A value.

        Raises:
            InvalidInput: It is needed, and nowhere given. Permanent.
        """
        name, default, meaning = next(entry[1:] for entry in _FLAGS if entry[0] == flag)
        value = self._flags.get(flag.replace("-", "_")) or self._environment.get(name) or default
        if value is None:
            also = f" or {name}" if name else ""
            msg = f"--{flag}{also} is missing: {meaning}."
            raise InvalidInput(msg)
        return value.strip("/") if flag == "prefix" else value

    @property
    def lake(self) -> tuple[str, str, str | None]:
        """Bucket, prefix and key."""
        return self.get("bucket"), self.get("prefix"), self.get("kms-key") or None

    @property
    def external_id(self) -> str:
        """Ours."""
        return self.get("external-id") or external_id_for(self.get("bucket"), self.get("prefix"))


def _again(values: _Values) -> str:
    """The flags that lead to the same lake and the same external id."""
    bucket, prefix, key = values.lake
    given = {"bucket": bucket, "prefix": prefix, "kms-key": key, "external-id": values.external_id}
    return " ".join(f"--{flag} {value}" for flag, value in given.items() if value)


def _documents(values: _Values) -> str:
    bucket, prefix, key = values.lake
    documents: dict[str, Policy] = {
        "bucket_policy": bucket_policy(bucket, key),
        "uploader_policy": uploader_policy(bucket, prefix, key),
        "reader_policy": reader_policy(bucket, prefix, key),
    }
    principal = values.get("snowflake-user-arn") or _own_root(values.get("role-arn"))
    if principal:
        documents["reader_trust_policy"] = trust_policy(principal, values.external_id)
    return json.dumps(documents, indent=2) + "\n"


def _own_root(role_arn: str) -> str:
    """The account itself, which stands in until Snowflake has named its user."""
    return f"{role_arn.partition(':role/')[0]}:root" if ":role/" in role_arn else role_arn


def _script(values: _Values) -> str:
    bucket, prefix, key = values.lake
    reader_policy(bucket, prefix, key)  # what could not stand in a policy is refused here as well
    role_arn = values.get("role-arn")
    if not role_arn:
        msg = "--role-arn is missing: create the AWS role first, with the reader's policy (infra policies)."
        raise InvalidInput(msg)
    names = WarehouseNames(
        database=values.get("database"),
        schema=values.get("schema"),
        warehouse=values.get("warehouse"),
        role=values.get("role"),
        integration=values.get("integration") or f"AMPLITUDE_LAKE_{values.get('schema')}",
        role_arn=role_arn,
        external_id=values.external_id,
        stage_url=f"s3://{bucket}/{prefix}/" if prefix else f"s3://{bucket}/",
        user=values.get("user") or None,
    )
    parts = [
        "-- Every statement may be run again; none replaces or drops anything.",
        f"-- 1. At AWS: {role_arn} exists, with the reader's policy and any trust (infra policies).",
        "-- 2. In Snowflake. The loader is a service user with a key pair; if there is none yet:",
        f"--    CREATE USER {names.user or '…'} TYPE = SERVICE RSA_PUBLIC_KEY = '…';",
        *_ended(["USE ROLE ACCOUNTADMIN", *account_statements(names)]),
        "-- 3. Snowflake names its side of the trust:",
        *_ended([describe_statement(names)]),
        "-- 4. At AWS: set the role's trust to STORAGE_AWS_IAM_USER_ARN, with this external id:",
        f"--    {names.external_id}",
        f"--    (infra policies {_again(values)} --snowflake-user-arn …). It takes effect within minutes.",
        "-- 5. In Snowflake:",
        *_ended([*schema_statements(names), *grant_statements(names)]),
    ]
    return "\n".join(parts) + "\n"


def _ended(statements: list[str]) -> list[str]:
    # a semicolon on its own line: the last one of a statement may be a comment
    return [f"{text}\n;" if "\n" in text else f"{text};" for text in statements]


if __name__ == "__main__":
    sys.exit(main())
