"""The parameters of a session: those that mean something here with their defaults, and the others' names.

Source: https://docs.snowflake.com/en/sql-reference/parameters
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from emulators.snowflake.errors import invalid_value

DEFAULTS = {
    "ABORT_DETACHED_QUERY": "false", "AUTOCOMMIT": "true", "LOCK_TIMEOUT": "43200", "QUERY_TAG": "",
    "READ_CONSISTENCY_MODE": "SESSION", "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": "0",
    "STATEMENT_TIMEOUT_IN_SECONDS": "172800", "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "TIMEZONE": "America/Los_Angeles", "TRANSACTION_ABORT_ON_ERROR": "false", "USE_CACHED_RESULT": "true",
}  # fmt: skip

#: Remembered and shown, without any effect here.
_WITHOUT_EFFECT = """
    ACTIVE_PYTHON_PROFILER AUTOCOMMIT_API_SUPPORTED BINARY_INPUT_FORMAT BINARY_OUTPUT_FORMAT
    CSV_TIMESTAMP_FORMAT DATE_INPUT_FORMAT DATE_OUTPUT_FORMAT DEFAULT_NULL_ORDERING
    ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION ERROR_ON_NONDETERMINISTIC_MERGE
    ERROR_ON_NONDETERMINISTIC_UPDATE GEOGRAPHY_OUTPUT_FORMAT GEOMETRY_OUTPUT_FORMAT HYBRID_TABLE_LOCK_TIMEOUT
    JDBC_TREAT_DECIMAL_AS_INT JDBC_TREAT_TIMESTAMP_NTZ_AS_UTC JDBC_USE_SESSION_TIMEZONE JSON_INDENT
    JS_TREAT_INTEGER_AS_BIGINT LOG_LEVEL METRIC_LEVEL MULTI_STATEMENT_COUNT NOORDER_SEQUENCE_AS_DEFAULT
    ODBC_TREAT_DECIMAL_AS_INT PYTHON_CONNECTOR_QUERY_RESULT_FORMAT PYTHON_PROFILER_MODULES
    PYTHON_PROFILER_TARGET_STAGE QUOTED_IDENTIFIERS_IGNORE_CASE ROWS_PER_RESULTSET S3_STAGE_VPCE_DNS_NAME
    SEARCH_PATH SIMULATED_DATA_SHARING_CONSUMER STRICT_JSON_OUTPUT TIMESTAMP_DAY_IS_ALWAYS_24H
    TIMESTAMP_INPUT_FORMAT TIMESTAMP_LTZ_OUTPUT_FORMAT TIMESTAMP_NTZ_OUTPUT_FORMAT TIMESTAMP_OUTPUT_FORMAT
    TIMESTAMP_TZ_OUTPUT_FORMAT TIME_INPUT_FORMAT TIME_OUTPUT_FORMAT TRACE_LEVEL
    TRANSACTION_DEFAULT_ISOLATION_LEVEL TWO_DIGIT_CENTURY_START UNSUPPORTED_DDL_ACTION WEEK_OF_YEAR_POLICY
    WEEK_START
"""
_NAMES = DEFAULTS.keys() | _WITHOUT_EFFECT.split()


def is_parameter(name: str) -> bool:
    """Whether a session has a parameter of this name; clients have their own, which all begin alike."""
    return name in _NAMES or name.startswith("CLIENT_")


def zone_of(parameters: Mapping[str, str]) -> ZoneInfo:
    """The session's time zone.

    Raises:
        SqlError: 001008, TIMEZONE names none.
    """
    name = parameters["TIMEZONE"]
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        setting = "TIMEZONE"
        raise invalid_value(setting, name) from error
