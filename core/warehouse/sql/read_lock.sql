SELECT generation, lake, app_id FROM load_lock
