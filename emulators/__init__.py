"""The rehearsal stage: Amplitude, S3 and Snowflake on loopback, over the protocols of the real ones."""
