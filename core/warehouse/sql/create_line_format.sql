-- One line of a part as text, whatever it holds: for hours with lines that are no JSON. FIELD_DELIMITER, so
-- that a line is one field; the others, so that no character and no text means anything else than itself.
CREATE FILE FORMAT IF NOT EXISTS amplitude_lines
    TYPE = CSV
    COMPRESSION = AUTO
    RECORD_DELIMITER = '\n'
    FIELD_DELIMITER = NONE
    FIELD_OPTIONALLY_ENCLOSED_BY = NONE
    ESCAPE = NONE
    ESCAPE_UNENCLOSED_FIELD = NONE
    NULL_IF = ()
    EMPTY_FIELD_AS_NULL = FALSE
    TRIM_SPACE = FALSE
    SKIP_BLANK_LINES = TRUE            -- blank lines are not events
    REPLACE_INVALID_CHARACTERS = TRUE
    SKIP_BYTE_ORDER_MARK = TRUE
