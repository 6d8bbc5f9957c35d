"""The plans: Prefect flows. They do nothing themselves; tasks do."""
