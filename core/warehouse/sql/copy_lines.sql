-- Every line of an hour as text. What proves to be JSON goes on to events_raw in the same transaction; the
-- others stay. ON_ERROR = CONTINUE is no way: in a file of JSON it skips all that follows the first bad line.
COPY INTO events_rejected (export_hour, digest, source_file, source_row, line, reason, rejected_at)
FROM (
    SELECT
        (
            REGEXP_SUBSTR(METADATA$FILENAME, 'events/date=([0-9]{4}-[0-9]{2}-[0-9]{2})/hour=[0-9]{2}/[^/]+$', 1, 1, 'e', 1)
            || ' '
            || REGEXP_SUBSTR(METADATA$FILENAME, 'events/date=[0-9]{4}-[0-9]{2}-[0-9]{2}/hour=([0-9]{2})/[^/]+$', 1, 1, 'e', 1)
            || ':00:00'
        )::TIMESTAMP_NTZ,
        %(digest)s,
        METADATA$FILENAME,
        METADATA$FILE_ROW_NUMBER,
        $1,
        'not looked at yet',
        METADATA$START_SCAN_TIME::TIMESTAMP_NTZ
    FROM @amplitude_lake
)
FILES = (%(files)s)
FILE_FORMAT = (FORMAT_NAME = 'amplitude_lines')
ON_ERROR = ABORT_STATEMENT
FORCE = TRUE
