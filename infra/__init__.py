"""The ground: what the accounts at AWS and Snowflake have to look like, and how they get there."""
