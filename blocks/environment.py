"""From `.env` and the environment to settings; every problem is found before one is reported.

The names are those of the first scripts, so that an existing `.env` goes on working.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dotenv import dotenv_values

from blocks.amplitude import is_endpoint
from blocks.names import BUCKET_NAME, KMS_KEY_ARN, LAKE_PREFIX
from core.errors import InvalidInput

_SNOWFLAKE = (
    "SNOWFLAKE_ACCOUNT",
    "SNOWFLAKE_USER",
    "SNOWFLAKE_WAREHOUSE",
    "SNOWFLAKE_DATABASE",
    "SNOWFLAKE_SCHEMA",
)
_LOGINS = ("SNOWFLAKE_PRIVATE_KEY", "SNOWFLAKE_PRIVATE_KEY_PATH", "SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER")
_QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
_CLOUDS = ("aws", "azure", "gcp")


def read_environment(env_file: Path) -> dict[str, str]:
    """Variables from ``env_file``, if it is there, overridden by the process's own; blank ones are absent.

    Raises:
        InvalidInput: Another file than ``.env`` was named, and is not there. Permanent.
    """
    if env_file != Path(".env") and not env_file.exists():
        msg = f"There is no file {env_file}."
        raise InvalidInput(msg)
    try:
        # As they stand: a secret may hold what looks like a variable.
        from_file = dotenv_values(env_file, interpolate=False) if env_file.exists() else {}
    except (OSError, ValueError) as error:
        msg = f"{env_file} cannot be read as text ({type(error).__name__})."
        raise InvalidInput(msg) from None
    merged = {**from_file, **os.environ}
    return {name: value.strip() for name, value in merged.items() if value and value.strip()}


@dataclass(frozen=True, slots=True)
class SnowflakeSettings:
    """How to reach and enter the warehouse. ``private_key`` is PEM."""

    account: str
    user: str
    database: str
    schema: str
    warehouse: str
    role: str | None
    private_key: str | None
    private_key_passphrase: str | None
    workload_identity_provider: str | None
    host: str | None
    port: int | None
    protocol: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the blocks are made of. Absent AWS keys mean the machine's own role."""

    amp_api_key: str
    amp_secret_key: str
    amp_region: str
    amp_base_url: str | None
    aws_access_key: str | None
    aws_secret_key: str | None
    aws_region: str | None
    aws_endpoint_url: str | None
    bucket: str | None
    prefix: str
    kms_key_id: str | None
    snowflake: SnowflakeSettings | None


class _Reader:
    """Takes variables and collects what is wrong with them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.problems: list[str] = []

    def get(self, name: str) -> str | None:
        value = self._variables.get(name)
        if value is None or (quoted := _QUOTED.fullmatch(value)) is None:
            return value
        # Of a file, quotes have been taken off; Docker passes on what stands there.
        problem = f"{name} has quotes around its value: write it without them."
        if problem not in self.problems:
            self.problems.append(problem)
        return quoted[2]

    def need(self, name: str, meaning: str) -> str:
        value = self.get(name)
        if value is None:
            self.problems.append(f"{name} is missing: {meaning}.")
        return value or ""

    def one_of(self, name: str, choices: tuple[str, ...], default: str | None) -> str | None:
        value = self.get(name)
        if value is not None and value.lower() not in choices:
            self.problems.append(f"{name} must be one of {', '.join(choices)}, not {value[:20]!r}.")
            return default
        return value.lower() if value else default

    def url(self, name: str) -> str | None:
        value = self.get(name)
        if value is not None and not is_endpoint(value):
            self.problems.append(f"{name} must be a URL such as https://host:port.")
        return value


def settings_from(
    variables: Mapping[str, str],
    *,
    only_amplitude: bool = False,
    others: Sequence[str] = (),
    if_missing: str = "",
) -> Settings:
    """Make settings of variables.

    Args:
        only_amplitude: Leave out lake and warehouse: enough for an extract to a local folder.
        others: Problems found elsewhere, to be told along with those of the variables.
        if_missing: A last line, for when variables are missing.

    Raises:
        InvalidInput: Variables are missing or contradict each other; all of them are named. Permanent.
    """
    reader = _Reader(variables)
    settings = Settings(
        amp_api_key=reader.need("AMP_API_KEY", "the Amplitude project's API key"),
        amp_secret_key=reader.need("AMP_SECRET_KEY", "the Amplitude project's secret key"),
        amp_region=reader.one_of("AMP_DATA_REGION", ("us", "eu"), "us") or "us",
        amp_base_url=reader.url("AMP_BASE_URL"),
        aws_access_key=reader.get("AWS_ACCESS_KEY"),
        aws_secret_key=reader.get("AWS_SECRET_KEY"),
        aws_region=reader.get("AWS_REGION"),
        aws_endpoint_url=reader.url("AWS_ENDPOINT_URL_S3"),
        bucket=None if only_amplitude else reader.need("BUCKET_NAME", "the S3 bucket of the lake"),
        prefix=(reader.get("BUCKET_PREFIX") or "").strip("/"),
        kms_key_id=reader.get("KMS_KEY_ID"),
        snowflake=None if only_amplitude else _snowflake(reader),
    )
    if bool(settings.aws_access_key) != bool(settings.aws_secret_key):
        reader.problems.append(
            "AWS_ACCESS_KEY and AWS_SECRET_KEY belong together: set both, or neither for a role."
        )
    if not only_amplitude:
        reader.problems += _problems_of_the_lake(settings)
    if problems := [*reader.problems, *others]:
        hint = [if_missing] if if_missing and any(" is missing: " in line for line in problems) else []
        lines = ["The blocks cannot be registered:", *(f"  - {line}" for line in problems), *hint]
        raise InvalidInput("\n".join(lines))
    return settings


def _problems_of_the_lake(settings: Settings) -> list[str]:
    """What AWS would refuse hours later, in the middle of a run, or a policy would read otherwise."""
    found = []
    if settings.bucket and not BUCKET_NAME.fullmatch(settings.bucket):
        rule = "3 to 63 lower-case letters, digits, dots and hyphens"
        found.append(f"BUCKET_NAME must be a bucket's name, {rule}, not {settings.bucket[:80]!r}.")
    if settings.prefix and not LAKE_PREFIX.fullmatch(settings.prefix):
        rule = "folders of letters, digits and !_.()=+@:,- with a slash between them"
        why = "it stands in policies and in the stage's URL"
        found.append(f"BUCKET_PREFIX must be {rule}, for {why}, not {settings.prefix[:80]!r}.")
    if settings.kms_key_id and not KMS_KEY_ARN.fullmatch(settings.kms_key_id):
        rule = "the key's own ARN, arn:aws:kms:<region>:<account>:key/<id>"
        found.append(f"KMS_KEY_ID must be {rule}; the bucket policy compares it, so an alias will not do.")
    return found


def _snowflake(reader: _Reader) -> SnowflakeSettings | None:
    """The warehouse's settings; None if no variable speaks of one."""
    optional = ("SNOWFLAKE_ROLE", "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE", "SNOWFLAKE_PASSWORD")
    endpoint = ("SNOWFLAKE_HOST", "SNOWFLAKE_PORT", "SNOWFLAKE_PROTOCOL")
    if not any(reader.get(name) for name in (*_SNOWFLAKE, *_LOGINS, *optional, *endpoint)):
        return None
    values = {name: reader.need(name, "the warehouse is set up in part") for name in _SNOWFLAKE}
    given = [name for name in _LOGINS if reader.get(name)]
    if len(given) != 1:
        found = f"{' and '.join(given)} contradict each other" if given else "there is no key to log in with"
        password = " Passwords no longer log a service user in." if reader.get("SNOWFLAKE_PASSWORD") else ""
        reader.problems.append(f"{found}: set exactly one of {', '.join(_LOGINS)}.{password}")
    port = reader.get("SNOWFLAKE_PORT")
    if port is not None and not (port.isdecimal() and 0 < int(port) < 1 << 16):
        reader.problems.append(f"SNOWFLAKE_PORT must be a port number, not {port[:20]!r}.")
        port = None
    if re.search(r"\.snowflakecomputing\.|/", values["SNOWFLAKE_ACCOUNT"], re.IGNORECASE):
        rule = "<organization>-<account>, without .snowflakecomputing.com"
        reader.problems.append(f"SNOWFLAKE_ACCOUNT must be {rule}, not {values['SNOWFLAKE_ACCOUNT'][:80]!r}.")
    return SnowflakeSettings(
        account=values["SNOWFLAKE_ACCOUNT"],
        user=values["SNOWFLAKE_USER"],
        database=values["SNOWFLAKE_DATABASE"],
        schema=values["SNOWFLAKE_SCHEMA"],
        warehouse=values["SNOWFLAKE_WAREHOUSE"],
        role=reader.get("SNOWFLAKE_ROLE"),
        private_key=_private_key(reader) if len(given) == 1 else None,
        private_key_passphrase=reader.get("SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"),
        workload_identity_provider=reader.one_of("SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER", _CLOUDS, None),
        host=reader.get("SNOWFLAKE_HOST"),
        port=int(port) if port else None,
        protocol=reader.one_of("SNOWFLAKE_PROTOCOL", ("https", "http"), None),
    )


def _private_key(reader: _Reader) -> str | None:
    """The key as PEM, read here because a worker does not have the file.

    Line breaks may be spelled out as a backslash and an n, as they are in a one-line variable.
    """
    path = reader.get("SNOWFLAKE_PRIVATE_KEY_PATH")
    name = "SNOWFLAKE_PRIVATE_KEY_PATH" if path else "SNOWFLAKE_PRIVATE_KEY"
    try:
        pem = Path(path).expanduser().read_text(encoding="ascii") if path else reader.get(name)
    except (OSError, ValueError, RuntimeError) as error:
        reader.problems.append(f"{name} cannot be read ({type(error).__name__}).")
        return None
    if pem is None:
        return None
    pem = pem.replace("\\n", "\n").strip() + "\n"
    pem = pem[max(0, pem.find("-----BEGIN")) :]  # openssl writes attributes above some keys
    passphrase = reader.get("SNOWFLAKE_PRIVATE_KEY_PASSPHRASE")
    try:
        key = load_pem_private_key(pem.encode(), passphrase.encode() if passphrase else None)
        if not isinstance(key, RSAPrivateKey):
            reader.problems.append(f"{name} is not an RSA key, the only kind that Snowflake takes.")
    except TypeError:
        meaning = "is set although the key has none" if passphrase else "is missing: the key is encrypted"
        reader.problems.append(f"SNOWFLAKE_PRIVATE_KEY_PASSPHRASE {meaning}.")
    except ValueError:
        reader.problems.append(f"{name} is not a PEM private key, or the passphrase does not open it.")
    return pem
