MERGE INTO load_ledger AS ledger
USING (
    SELECT
        value:export_hour::TIMESTAMP_NTZ AS export_hour,
        value:exported_at::TIMESTAMP_NTZ AS exported_at,
        value:digest::VARCHAR AS digest,
        value:parts::NUMBER AS parts,
        value:events::NUMBER AS events,
        value:rejected::NUMBER AS rejected,
        SYSDATE() AS loaded_at,
        %(run)s AS run,
        %(generation)s AS generation
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(%(rows)s)))
) AS loaded
ON EQUAL_NULL(ledger.export_hour, loaded.export_hour)
WHEN MATCHED THEN UPDATE SET
    exported_at = loaded.exported_at,
    digest = loaded.digest,
    parts = loaded.parts,
    events = loaded.events,
    rejected = loaded.rejected,
    loaded_at = loaded.loaded_at,
    run = loaded.run,
    generation = loaded.generation
WHEN NOT MATCHED THEN INSERT
    (export_hour, exported_at, digest, parts, events, rejected, loaded_at, run, generation)
    VALUES (
        loaded.export_hour, loaded.exported_at, loaded.digest, loaded.parts, loaded.events,
        loaded.rejected, loaded.loaded_at, loaded.run, loaded.generation
    )
