"""A Snowflake account on loopback, for tests, benchmarks and rehearsals.

It speaks the HTTP interface of Snowflake's connectors over fakesnow, which runs Snowflake's SQL on DuckDB,
and adds what the pipeline relies on: key-pair login, storage integrations, stages and file formats, COPY of
JSON from S3 with its load history, table locks, Snowflake's transactions, session parameters, and planned
faults.

    with SnowflakeEmulator(s3_endpoint=lake.url) as snowflake:
        snowflake.execute("CREATE DATABASE raw")
        connection = connect(
            host=snowflake.host, port=snowflake.port, protocol=snowflake.protocol, account="any", …
        )

`tests/contract/` holds the documented behaviours as cases for it and for the service itself.

How it differs from Snowflake, as far as is known:

* Privileges are remembered and never enforced; every role may do everything. There is no second account.
* S3 is read with keys given at the start, not by assuming the integration's role: a wrong trust or policy
  is not noticed, and an integration works at once.
* Locks are per table, not per partition; UPDATE, DELETE and MERGE take them, INSERT and COPY do not.
  Deadlocks are not detected: LOCK_TIMEOUT ends them. DROP and TRUNCATE of a table wait for its lock.
* A transaction is rebuilt from a journal when another session commits or a statement fails
  (`transaction.py`): RANDOM(), UUID_STRING() and the like, in a statement that wrote, give another value
  then.
* A MERGE whose source meets one target row twice is an error, also where it only deletes that row.
* One text is one statement: MULTI_STATEMENT_COUNT and blocks of Snowflake Scripting are not emulated.
* A commit is seen at once by every session: READ_CONSISTENCY_MODE=SESSION never delays one.
* A COMMIT after TRANSACTION_ABORT_ON_ERROR has struck is refused, and ends the transaction. What the
  service answers is not confirmed; it commits nothing either way.
* A session that its client has left in an open transaction is ended after `dead_session_seconds` (default
  300) if it blocks another, else after four hours; with it goes its login, so that no later COMMIT can seem
  to work.
* COPY loads JSON only, from S3 only; PURGE, SIZE_LIMIT and MATCH_BY_COLUMN_NAME have no effect. Files older
  than 64 days are not held back for uncertain status; history itself ends after 64 days.
* The SELECT of a COPY takes a part of the documented functions, and refuses DISTINCT and functions of the
  moment or the session, which the service may let pass (`copy_transform.py`).
* ALTER SESSION refuses a parameter that there is not; a login takes it. Parameters without a meaning here
  are remembered and shown, and that is all.
* METADATA$FILE_ROW_NUMBER counts records; blank lines are none. METADATA$FILE_CONTENT_KEY is the ETag.
* A VARIANT keeps the text it was loaded with: key order, spacing and digits of a number are the file's,
  where Snowflake sorts keys and rounds long fractions. A lone surrogate escape becomes U+FFFD.
* Timestamps have microseconds, NUMBER(38,0) columns have 64 bits, and VARCHAR lengths are not checked.
* SYSTEM$VALIDATE_STORAGE_INTEGRATION really reads and lists; write and delete always fail.
* Numbers and wording of errors follow public reports; those that could not be confirmed are marked where
  they are raised: lock timeout, too many files, functions that a COPY does not support, a broken
  integration, statements in an aborted transaction, and the words behind "Error parsing JSON:".
* Statement results are kept for the last few statements only. Nothing is kept when it stops.
"""

from emulators.snowflake.account import Statement
from emulators.snowflake.emulator import SnowflakeEmulator
from emulators.snowflake.faults import Fault

__all__ = ["Fault", "SnowflakeEmulator", "Statement"]
