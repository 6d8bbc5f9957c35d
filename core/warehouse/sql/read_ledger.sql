-- The text never changes, so that Snowflake's result cache can answer without waking a warehouse.
SELECT TO_CHAR(export_hour, 'YYYY-MM-DD"T"HH24') AS export_hour, digest, events, rejected, run, exported_at
FROM load_ledger
WHERE export_hour IS NOT NULL
