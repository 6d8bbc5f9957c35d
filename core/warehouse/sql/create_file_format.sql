-- One JSON object a line, taken exactly as Amplitude wrote it.
CREATE FILE FORMAT IF NOT EXISTS amplitude_json
    TYPE = JSON
    COMPRESSION = AUTO                 -- a lake may hold plain and gzipped parts side by side
    MULTI_LINE = FALSE                 -- one object a line, so FILE_ROW_NUMBER is the line's number
    STRIP_OUTER_ARRAY = FALSE          -- a line is an event, never a list of events
    STRIP_NULL_VALUES = FALSE          -- Amplitude writes null rather than leaving a key out: keep both
    ALLOW_DUPLICATE = TRUE             -- one event with a key twice must not block its hour
    IGNORE_UTF8_ERRORS = FALSE
    REPLACE_INVALID_CHARACTERS = TRUE  -- a device that sends broken UTF-8 must not block its hour
    SKIP_BYTE_ORDER_MARK = TRUE
