DELETE FROM events_rejected WHERE export_hour = %(hour)s AND digest = %(digest)s
