"""The warehouse: Snowflake's table of events, and the ledger of what it holds."""
