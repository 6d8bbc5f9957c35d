-- FILES, for a missing file aborts; FORCE, for DELETE does not clear Snowflake's load metadata.
COPY INTO events_raw (event, export_hour, source_file, source_row, loaded_at)
FROM (
    SELECT
        $1,
        (
            REGEXP_SUBSTR(METADATA$FILENAME, 'events/date=([0-9]{4}-[0-9]{2}-[0-9]{2})/hour=[0-9]{2}/[^/]+$', 1, 1, 'e', 1)
            || ' '
            || REGEXP_SUBSTR(METADATA$FILENAME, 'events/date=[0-9]{4}-[0-9]{2}-[0-9]{2}/hour=([0-9]{2})/[^/]+$', 1, 1, 'e', 1)
            || ':00:00'
        )::TIMESTAMP_NTZ,
        METADATA$FILENAME,
        METADATA$FILE_ROW_NUMBER,
        METADATA$START_SCAN_TIME::TIMESTAMP_NTZ
    FROM @amplitude_lake
)
FILES = (%(files)s)
ON_ERROR = ABORT_STATEMENT
FORCE = TRUE
