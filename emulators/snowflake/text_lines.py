"""Text files as COPY reads them when a line is one field; delimiters, quotes and escapes are not emulated.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-file-format#type-csv
"""

from emulators.snowflake.errors import SqlError
from emulators.snowflake.objects import FileFormat, TextFormat
from emulators.snowflake.records import BYTE_ORDER_MARK, Problem, Records

#: The one way to read text that is emulated: a line is a field, and means nothing but itself.
WHOLE_LINES = TextFormat(
    field_delimiter="NONE", escape_unenclosed_field="NONE", null_if=(), empty_field_as_null=False,
    skip_blank_lines=True,
)  # fmt: skip


def read_lines(data: bytes, file_format: FileFormat) -> Records:
    """All lines of a file, without their ends; blank ones are none.

    Raises:
        SqlError: 000603, for a format that would do more with a line than keep it.
    """
    if file_format.text != WHOLE_LINES:
        raise SqlError(603, "XX000", f"of text files, only whole lines are emulated, not {file_format.text}")
    if file_format.skip_byte_order_mark:
        data = data.removeprefix(BYTE_ORDER_MARK)
    records = Records()
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line:
            continue
        try:
            text = line.decode(errors="replace" if file_format.replace_invalid_characters else "strict")
        except UnicodeDecodeError as error:
            message = f"Invalid UTF8 detected in string '0x{line[error.start]:02X}'"
            records.problems.append(Problem(message, number, error.start + 1, records.parsed + 1, line))
            continue
        records.texts.append(text.encode())
        records.rows.append(records.parsed)
    return records
