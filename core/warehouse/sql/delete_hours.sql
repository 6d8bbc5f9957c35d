DELETE FROM events_raw WHERE export_hour IN (%(hours)s)
