-- Which manifest of which hour events_raw holds. One row has no hour: it carries the generation.
CREATE TABLE IF NOT EXISTS load_ledger (
    export_hour TIMESTAMP_NTZ,
    exported_at TIMESTAMP_NTZ,
    digest VARCHAR,
    parts NUMBER(38, 0),
    events NUMBER(38, 0),
    rejected NUMBER(38, 0),
    loaded_at TIMESTAMP_NTZ NOT NULL,
    run VARCHAR NOT NULL,
    generation NUMBER(38, 0) NOT NULL
)
