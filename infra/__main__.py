"""``python -m infra``: what an administrator applies by hand, if nobody may do it for him.

``sql`` prints Snowflake's part as a script with the two-way trust in its place, ``policies`` prints
AWS's part as JSON. Nothing is applied, and no secret is read.
"""

from __future__ import annotations

import argparse
import json
import shlex
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
    reader_statements,
    schema_statements,
    validation_statement,
)

#: Option, the name it is also read under, the commands that need it, and what it means.
_FLAGS = (
    ("bucket", "BUCKET_NAME", "sql, policies", "the lake's bucket"),
    ("prefix", "BUCKET_PREFIX", "", "the lake's folder in it; default: the whole bucket"),
    ("kms-key", "KMS_KEY_ID", "", "ARN of the key that encrypts it; default: the bucket's own"),
    ("role-arn", "", "sql", "the AWS role that Snowflake takes to read the lake"),
    ("external-id", "", "", "default: made from bucket and prefix"),
    ("snowflake-user-arn", "", "", "STORAGE_AWS_IAM_USER_ARN; policies then prints its trust alone"),
    ("database", "SNOWFLAKE_DATABASE", "sql", "Snowflake's database"),
    ("schema", "SNOWFLAKE_SCHEMA", "sql", "one for each Amplitude project"),
    ("warehouse", "SNOWFLAKE_WAREHOUSE", "sql", "what the loader runs on"),
    ("role", "SNOWFLAKE_ROLE", "sql", "the loader's role"),
    ("user", "SNOWFLAKE_USER", "", "who is given that role; default: nobody"),
    ("integration", "", "", "the storage integration; default: AMPLITUDE_LAKE_ and the schema"),
    ("reader-role", "", "", "a role of analysts, already there, that may read the views; default: none"),
)


def main(arguments: list[str] | None = None) -> int:
    """Print; 0, or 2 after a mistake, told in one line."""
    parser = argparse.ArgumentParser(
        prog="python -m infra",
        description="Print what an administrator applies: `sql` for Snowflake, `policies` for AWS.",
        epilog="A name in brackets is read from the environment or the file where its option is not given.",
    )
    parser.add_argument("what", choices=("sql", "policies"))
    parser.add_argument("--env-file", type=Path, default=Path(".env"), help="default: .env")
    for flag, name, needed, meaning in _FLAGS:
        also = f" [{name}]" if name else ""
        parser.add_argument(f"--{flag}", help=f"{meaning}{also}{f' (needed: {needed})' if needed else ''}")
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
        """A value; empty if it is nowhere given."""
        name = next(entry[1] for entry in _FLAGS if entry[0] == flag)
        value = self._flags.get(flag.replace("-", "_")) or self._environment.get(name) or ""
        return value.strip("/") if flag == "prefix" else value

    def need(self, flag: str) -> str:
        """A value.

        Raises:
            InvalidInput: It is nowhere given. Permanent.
        """
        value = self.get(flag)
        if not value:
            _, name, _, meaning = next(entry for entry in _FLAGS if entry[0] == flag)
            msg = f"--{flag}{f' or {name}' if name else ''} is missing: {meaning}."
            raise InvalidInput(msg)
        return value

    @property
    def lake(self) -> tuple[str, str, str | None]:
        """Bucket, prefix and key."""
        return self.need("bucket"), self.get("prefix"), self.get("kms-key") or None

    @property
    def external_id(self) -> str:
        """Ours."""
        return self.get("external-id") or external_id_for(self.need("bucket"), self.get("prefix"))


def _trust_command(values: _Values) -> str:
    """What prints the trust of the same lake once Snowflake has named its user."""
    flags = ("bucket", "prefix", "kms-key", "external-id")
    given = [f"--{flag} {shlex.quote(values.get(flag))}" for flag in flags if values.get(flag)]
    return f"python -m infra policies {' '.join(given)} --snowflake-user-arn …"


def _documents(values: _Values) -> str:
    bucket, prefix, key = values.lake
    documents: dict[str, Policy] = {
        "bucket_policy": bucket_policy(bucket, key),
        "uploader_policy": uploader_policy(bucket, prefix, key),
        "reader_policy": reader_policy(bucket, prefix, key),
    }
    if values.get("snowflake-user-arn"):  # the others were applied, and Snowflake changes none of them
        documents = {}
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
    role_arn = values.need("role-arn")
    names = WarehouseNames(
        database=values.need("database"),
        schema=values.need("schema"),
        warehouse=values.need("warehouse"),
        role=values.need("role"),
        integration=values.get("integration") or f"AMPLITUDE_LAKE_{values.need('schema')}",
        role_arn=role_arn,
        external_id=values.external_id,
        stage_url=f"s3://{bucket}/{prefix}/" if prefix else f"s3://{bucket}/",
        user=values.get("user") or None,
        reader_role=values.get("reader-role") or None,
    )
    parts = [
        "-- Every statement may be run again; none replaces or drops anything.",
        f"-- 1. At AWS: {role_arn} exists, with the reader's policy and any trust (infra policies).",
        "-- 2. In Snowflake. The loader is a service user with a key pair; if there is none yet:",
        f"--    CREATE USER {names.user or '…'} TYPE = SERVICE DEFAULT_ROLE = {names.role}",
        "--    RSA_PUBLIC_KEY = '…';",
        *_ended(["USE ROLE ACCOUNTADMIN", *account_statements(names)]),
        "-- 3. Snowflake names its side of the trust:",
        *_ended([describe_statement(names)]),
        "-- 4. At AWS: let Snowflake's user take the role. With STORAGE_AWS_IAM_USER_ARN for the dots, run",
        f"--    {_trust_command(values)}",
        "--    and apply what it prints, reader_trust_policy alone. It takes effect within minutes.",
        f"--    The external id on both sides: {names.external_id}",
        "-- 5. In Snowflake:",
        *_ended([*schema_statements(names), *grant_statements(names), *reader_statements(names)]),
        "-- 6. Once the trust is in effect, this says that the lake can be listed:",
        *_ended([validation_statement(names, "lake.json", "list")]),
    ]
    return "\n".join(parts) + "\n"


def _ended(statements: list[str]) -> list[str]:
    # a semicolon on its own line: the last one of a statement may be a comment
    return [f"{text}\n;" if "\n" in text else f"{text};" for text in statements]


if __name__ == "__main__":
    sys.exit(main())
