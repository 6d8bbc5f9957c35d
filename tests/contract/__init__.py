"""What Snowflake promises and the loader relies on, as cases for the emulator and for the service."""
