UPDATE events_rejected
SET reason = COALESCE(CHECK_JSON(line), 'the line holds no JSON')
WHERE export_hour = %(hour)s AND digest = %(digest)s
