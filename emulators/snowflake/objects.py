"""The account's objects that DuckDB does not know: integrations, stages, file formats, roles, warehouses."""

# ruff: noqa: EM102, TRY003 - what the service says stands where it is said

import datetime
import itertools
from dataclasses import dataclass, field, replace

from emulators.snowflake.errors import SqlError, compilation_error
from emulators.snowflake.lexer import Value, is_true, text_of

IAM_USER_ARN = "arn:aws:iam::123456789001:user/abc1-b-self1234"
Name = tuple[str, str, str]
_serial = itertools.count(1)


@dataclass(frozen=True)
class FileFormat:
    """How a file is read. Only JSON can be loaded here.

    Source: https://docs.snowflake.com/en/sql-reference/sql/create-file-format#type-json
    """

    kind: str = "CSV"
    compression: str = "AUTO"
    multi_line: bool = True
    strip_outer_array: bool = False
    strip_null_values: bool = False
    allow_duplicate: bool = False
    ignore_utf8_errors: bool = False
    replace_invalid_characters: bool = False
    skip_byte_order_mark: bool = True

    def changed(self, settings: dict[str, Value]) -> "FileFormat":
        """The format with these settings over its own. An unknown setting is an error, as on the service."""
        booleans = {
            "MULTI_LINE": "multi_line",
            "STRIP_OUTER_ARRAY": "strip_outer_array",
            "STRIP_NULL_VALUES": "strip_null_values",
            "ALLOW_DUPLICATE": "allow_duplicate",
            "IGNORE_UTF8_ERRORS": "ignore_utf8_errors",
            "REPLACE_INVALID_CHARACTERS": "replace_invalid_characters",
            "SKIP_BYTE_ORDER_MARK": "skip_byte_order_mark",
        }
        unread = {"COMMENT", "DATE_FORMAT", "TIME_FORMAT", "TIMESTAMP_FORMAT", "BINARY_FORMAT", "TRIM_SPACE"}
        unread |= {"NULL_IF", "FILE_EXTENSION", "ENABLE_OCTAL"}
        made = self
        for key, value in settings.items():
            if key == "TYPE":
                made = replace(made, kind=text_of(value).upper())
            elif key == "COMPRESSION":
                made = replace(made, compression=text_of(value).upper())
            elif key in booleans:
                made = replace(made, **{booleans[key]: is_true(value)})  # type: ignore[arg-type]
            elif made.kind == "JSON" and key not in unread:
                raise compilation_error(f"invalid parameter '{key}'", 1008, "22023")
        return made


@dataclass
class Integration:
    """A storage integration; its serial tells a replacement from the original.

    Source: https://docs.snowflake.com/en/sql-reference/sql/create-storage-integration
    """

    name: str
    role_arn: str
    external_id: str
    enabled: bool = True
    allowed: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    comment: str = ""
    created_on: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    serial: int = field(default_factory=lambda: next(_serial))

    def check(self, url: str) -> None:
        """Refuse a location that is not allowed, is blocked, or while the integration is off."""
        if not self.enabled:
            raise SqlError(3160, "42601", f"Integration '{self.name}' is not enabled.")
        here = url if url.endswith("/") else url + "/"
        inside = any(place == "*" or here.startswith(_folder(place)) for place in self.allowed)
        if not inside or any(here.startswith(_folder(place)) for place in self.blocked):
            raise SqlError(
                3165, "42501", f"Location '{url}' is not allowed by integration '{self.name}'. "
                "Please use DESC INTEGRATION to check out allowed and blocked locations."
            )  # fmt: skip


def _folder(place: str) -> str:
    return place if place.endswith("/") else place + "/"


@dataclass
class Stage:
    """A named place for files: external with a URL, or internal, which can hold nothing here."""

    name: Name
    url: str = ""
    integration: str = ""
    integration_serial: int = 0
    file_format: FileFormat = field(default_factory=FileFormat)
    comment: str = ""
    created_on: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    @property
    def bucket(self) -> str:
        """The bucket of an external stage."""
        return self.url.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """The keys' common beginning, as the URL has it."""
        return self.url.removeprefix("s3://").partition("/")[2]


@dataclass(frozen=True)
class Grant:
    """One privilege on one object to one role or user."""

    privilege: str
    on_kind: str
    on_name: str
    to_kind: str
    to_name: str
    created_on: datetime.datetime = field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC), compare=False
    )


@dataclass
class Objects:
    """All of them, by name."""

    integrations: dict[str, Integration] = field(default_factory=dict)
    stages: dict[Name, Stage] = field(default_factory=dict)
    formats: dict[Name, tuple[FileFormat, dict[str, Value]]] = field(default_factory=dict)
    warehouses: dict[str, dict[str, str]] = field(default_factory=dict)
    roles: set[str] = field(
        default_factory=lambda: {"ACCOUNTADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN", "PUBLIC"}
    )
    grants: dict[Grant, None] = field(default_factory=dict)
