"""The craft: hours, archives, lake and warehouse, without a line of Prefect."""
