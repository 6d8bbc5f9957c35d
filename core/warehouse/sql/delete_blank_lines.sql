-- White space alone is no event; SKIP_BLANK_LINES passes over nothing but empty lines. REGEXP_LIKE matches whole
-- texts only.
DELETE FROM events_rejected
WHERE export_hour = %(hour)s AND digest = %(digest)s AND REGEXP_LIKE(line, '[[:space:]]*')
