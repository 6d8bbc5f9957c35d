UPDATE load_lock
SET generation = generation + 1,
    lake = COALESCE(lake, %(lake)s),
    app_id = COALESCE(app_id, %(app_id)s)
WHERE (lake IS NULL AND app_id IS NULL) OR (lake = %(lake)s AND app_id = %(app_id)s)
