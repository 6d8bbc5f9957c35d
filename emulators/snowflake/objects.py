"""The account's objects that DuckDB does not know: integrations, stages, file formats, roles, warehouses."""

# ruff: noqa: EM101 - what the service says stands where it is said

import datetime
import itertools
import time
from dataclasses import dataclass, field, replace

from emulators.snowflake.errors import SqlError, invalid_parameter, invalid_value
from emulators.snowflake.lexer import Value, boolean_of, text_of

IAM_USER_ARN = "arn:aws:iam::123456789001:user/abc1-b-self1234"
Name = tuple[str, str, str]
# Not from 1: what an earlier process kept must not get a second owner for its serials.
_serial = itertools.count(time.time_ns())


_KINDS = {"CSV", "JSON", "AVRO", "ORC", "PARQUET", "XML"}
_COMPRESSIONS = {
    "AUTO", "GZIP", "BZ2", "BROTLI", "ZSTD", "DEFLATE", "RAW_DEFLATE", "LZO", "SNAPPY", "NONE",
}  # fmt: skip
_READ_BOOLEANS = {
    "MULTI_LINE", "STRIP_OUTER_ARRAY", "STRIP_NULL_VALUES", "ALLOW_DUPLICATE", "IGNORE_UTF8_ERRORS",
    "REPLACE_INVALID_CHARACTERS", "SKIP_BYTE_ORDER_MARK",
}  # fmt: skip
_UNREAD_BOOLEANS = {
    "TRIM_SPACE", "ENABLE_OCTAL", "PARSE_HEADER", "SKIP_BLANK_LINES", "ERROR_ON_COLUMN_COUNT_MISMATCH",
    "EMPTY_FIELD_AS_NULL", "SNAPPY_COMPRESSION", "BINARY_AS_TEXT", "USE_LOGICAL_TYPE", "PRESERVE_SPACE",
    "USE_VECTORIZED_SCANNER", "STRIP_OUTER_ELEMENT", "DISABLE_AUTO_CONVERT", "DISABLE_SNOWFLAKE_DATA",
}  # fmt: skip
_UNREAD_OF_JSON = {
    "DATE_FORMAT", "TIME_FORMAT", "TIMESTAMP_FORMAT", "BINARY_FORMAT", "TRIM_SPACE", "NULL_IF",
    "FILE_EXTENSION", "ENABLE_OCTAL",
}  # fmt: skip
_UNREAD = _UNREAD_OF_JSON | {
    "RECORD_DELIMITER", "FIELD_DELIMITER", "SKIP_HEADER", "ESCAPE", "ESCAPE_UNENCLOSED_FIELD",
    "FIELD_OPTIONALLY_ENCLOSED_BY", "ENCODING",
}  # fmt: skip


@dataclass(frozen=True)
class TextFormat:
    """How the lines of a file of TYPE = CSV become fields; the defaults are the service's.

    Source: https://docs.snowflake.com/en/sql-reference/sql/create-file-format#type-csv
    """

    record_delimiter: str = "\n"
    field_delimiter: str = ","
    skip_header: str = "0"
    field_optionally_enclosed_by: str = "NONE"
    escape: str = "NONE"
    escape_unenclosed_field: str = "\\"
    null_if: tuple[str, ...] = ("\\N",)
    empty_field_as_null: bool = True
    trim_space: bool = False
    skip_blank_lines: bool = False

    def changed(self, settings: "dict[str, Value]") -> "TextFormat":
        """The format with those of the settings over its own that are about fields."""
        made = self
        for key, value in settings.items():
            name = key.lower()
            if name not in self.__dataclass_fields__:
                continue
            if isinstance(getattr(self, name), bool):
                made = replace(made, **{name: boolean_of(key, value)})  # type: ignore[arg-type]
            elif isinstance(value, list):
                made = replace(made, **{name: tuple(value)})  # type: ignore[arg-type]
            else:
                text = text_of(value)
                made = replace(made, **{name: text.upper() if text.upper() == "NONE" else text})  # type: ignore[arg-type]
        return made


@dataclass(frozen=True)
class FileFormat:
    """How a file is read. Only JSON, and text line by line, can be loaded here.

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
    text: TextFormat = TextFormat()

    def changed(self, settings: dict[str, Value]) -> "FileFormat":
        """The format with these settings over its own.

        Raises:
            SqlError: a setting that its type does not have, or a value that the setting cannot have.
        """
        kind = text_of(settings.get("TYPE"), self.kind).upper()
        if kind not in _KINDS:
            raise invalid_value("TYPE", kind)
        made = replace(self, kind=kind)
        for key, value in settings.items():
            if key == "COMPRESSION":
                made = replace(made, compression=text_of(value).upper())
                if made.compression not in _COMPRESSIONS:
                    raise invalid_value(key, made.compression)
            elif key in _READ_BOOLEANS:
                made = replace(made, **{key.lower(): boolean_of(key, value)})  # type: ignore[arg-type]
            elif key in _UNREAD_BOOLEANS and (kind != "JSON" or key in _UNREAD_OF_JSON):
                boolean_of(key, value)
            elif key not in {"TYPE", "COMMENT"} | (_UNREAD_OF_JSON if kind == "JSON" else _UNREAD):
                raise invalid_parameter(key)
        return replace(made, text=made.text.changed(settings)) if kind == "CSV" else made


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
