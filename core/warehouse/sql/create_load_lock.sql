-- One row, put there by the statement that creates the table; a loader never inserts.
CREATE TABLE IF NOT EXISTS load_lock (
    generation NUMBER(38, 0) NOT NULL,
    lake VARCHAR,
    app_id NUMBER(38, 0)
) AS SELECT 0, NULL, NULL
