SELECT DISTINCT TO_CHAR(export_hour, 'YYYY-MM-DD"T"HH24') AS export_hour, digest
FROM events_rejected
WHERE export_hour IN (%(hours)s)
