"""The ground every test stands on: nothing of the developer's machine, and nothing left behind.

Prefect reads its settings when it is imported, so the environment is set here, before any test
module is collected.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings

_PRIVATE = Path(tempfile.mkdtemp(prefix="amplitude-tests-"))
atexit.register(shutil.rmtree, _PRIVATE, ignore_errors=True)

# Temporary files of whatever is imported or started from here go with the folder.
_TEMPORARY = _PRIVATE / "tmp"
_TEMPORARY.mkdir()
os.environ["TMPDIR"] = tempfile.tempdir = str(_TEMPORARY)

#: Credentials, endpoints and profiles of the developer's shell.
_STRAY = ("AMP_", "AWS_", "SNOWFLAKE_", "PREFECT_", "BUCKET_", "KMS_KEY_ID")
for _name in [name for name in os.environ if name.startswith(_STRAY)]:
    del os.environ[_name]

os.environ |= {
    "PREFECT_HOME": str(_PRIVATE / "prefect"),
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # Without these, clients would look into the home folder and ask the machine for a role.
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "SNOWFLAKE_HOME": str(_PRIVATE / "snowflake"),
    # The emulators are on loopback, where no proxy reaches them.
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}

#: Here, and not in the folders that use it, so that there is one server for all of them.
pytest_plugins = ["tests.servers"]

# A busy machine is no failure.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
