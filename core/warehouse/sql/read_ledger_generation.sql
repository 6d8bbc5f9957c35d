SELECT COALESCE(MAX(generation), 0) AS generation FROM load_ledger WHERE export_hour IS NULL
