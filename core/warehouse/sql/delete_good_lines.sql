DELETE FROM events_rejected
WHERE export_hour = %(hour)s AND digest = %(digest)s AND TRY_PARSE_JSON(line, 'd') IS NOT NULL
