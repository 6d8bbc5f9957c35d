-- 'd', as the file format's ALLOW_DUPLICATE: one event with a key twice is an event.
INSERT INTO events_raw (event, export_hour, source_file, source_row, loaded_at)
SELECT TRY_PARSE_JSON(line, 'd'), export_hour, source_file, source_row, rejected_at
FROM events_rejected
WHERE export_hour = %(hour)s AND digest = %(digest)s AND TRY_PARSE_JSON(line, 'd') IS NOT NULL
