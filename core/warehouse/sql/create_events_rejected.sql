-- Raw lines that Snowflake would not take, for one digest of an hour.
CREATE TABLE IF NOT EXISTS events_rejected (
    export_hour TIMESTAMP_NTZ NOT NULL,
    digest VARCHAR NOT NULL,
    source_file VARCHAR NOT NULL,
    source_row NUMBER(38, 0) NOT NULL,
    line VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    rejected_at TIMESTAMP_NTZ NOT NULL
)
