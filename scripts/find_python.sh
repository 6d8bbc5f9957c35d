#!/bin/sh
# Print the first Python that can set up this project, or say in one line what to install.
#
# A name on the PATH proves nothing: a version manager's shim may exist and fail, and some systems
# ship Python without venv or ensurepip. So each candidate is run and asked. PYTHON=… asks only one.
set -eu

can_set_up='
import sys
import ensurepip, venv
ok = sys.implementation.name == "cpython" and (3, 11) <= sys.version_info < (3, 14)
sys.exit(0 if ok else 1)
'

if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON"
else
    set -- python3.13 python3.12 python3.11 python3
fi
for candidate in "$@"; do
    if "$candidate" -c "$can_set_up" >/dev/null 2>&1; then
        command -v "$candidate"
        exit 0
    fi
done

if [ -n "${PYTHON:-}" ]; then
    wanted="PYTHON=$PYTHON does not run, or is not CPython 3.11, 3.12 or 3.13 with venv and ensurepip."
else
    wanted="CPython 3.11, 3.12 or 3.13 with venv and ensurepip is needed and was not found."
fi
echo "$wanted Install one (apt install python3 python3-venv, brew install python@3.13), or name it: make PYTHON=/path/to/python3" >&2
exit 1
