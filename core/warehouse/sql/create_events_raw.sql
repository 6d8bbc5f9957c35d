-- Every exported event exactly once, as it came, with the line of the lake it came from.
CREATE TABLE IF NOT EXISTS events_raw (
    event VARIANT NOT NULL,
    export_hour TIMESTAMP_NTZ NOT NULL,   -- from the path: events/date=…/hour=…/
    source_file VARCHAR NOT NULL,         -- the part's whole key in the bucket
    source_row NUMBER(38, 0) NOT NULL,    -- its line there, from 1
    loaded_at TIMESTAMP_NTZ NOT NULL      -- UTC
)
