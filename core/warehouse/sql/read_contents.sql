-- Ledger, rows and rejected lines of a range in one SELECT: one moment, whoever loads meanwhile.
SELECT 'ledger' AS kind, TO_CHAR(export_hour, 'YYYY-MM-DD"T"HH24') AS export_hour, digest, NULL AS source_file,
    events AS row_count, rejected AS distinct_rows
FROM load_ledger
WHERE export_hour BETWEEN %(first)s AND %(last)s
UNION ALL
SELECT 'rows', TO_CHAR(export_hour, 'YYYY-MM-DD"T"HH24'), NULL, source_file, COUNT(*), COUNT(DISTINCT source_row)
FROM events_raw
WHERE export_hour BETWEEN %(first)s AND %(last)s
GROUP BY export_hour, source_file
UNION ALL
SELECT 'rejected', TO_CHAR(export_hour, 'YYYY-MM-DD"T"HH24'), digest, source_file, COUNT(*), COUNT(DISTINCT source_row)
FROM events_rejected
WHERE export_hour BETWEEN %(first)s AND %(last)s
GROUP BY export_hour, digest, source_file
