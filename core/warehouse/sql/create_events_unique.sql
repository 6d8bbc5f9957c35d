-- One row for each uuid, Amplitude's own key for an event: the first export of it. Filter on export_hour.
-- Source: https://amplitude.com/docs/apis/analytics/export
CREATE VIEW IF NOT EXISTS events_unique AS
SELECT *
FROM events
QUALIFY ROW_NUMBER() OVER (PARTITION BY COALESCE(uuid, source_file || ':' || source_row) ORDER BY export_hour, source_file, source_row) = 1
