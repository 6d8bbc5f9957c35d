#!/bin/sh
# Set up .venv from requirements-dev.txt, or see in a few milliseconds that it is there.
#
# Guarantees: .venv counts as set up only if the lock was installed to its end. The last thing that
# an installation does is to put a copy of the lock into .venv; a copy that is missing or differs, or
# an interpreter that no longer runs, means from scratch. Wheels only, every one checked against its
# hash. Nothing is written outside the project's folder but pip's own cache.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
lock=requirements-dev.txt
done_mark=$venv/installed-requirements.txt

# Prefect starts twice as fast from compiled bytecode, and settings meant for another
# environment must not redirect this one.
unset PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH
unset PIP_TARGET PIP_PREFIX PIP_USER PIP_NO_COMPILE PIP_REQUIREMENT PIP_CONSTRAINT PIP_DRY_RUN

if cmp -s "$lock" "$done_mark" && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

python=$(sh scripts/find_python.sh)
version=$("$python" -c 'import platform; print(platform.python_version())')
log=$venv/install.log
started=$(date +%s)
echo "Setting up $venv with Python $version (once, about a minute and a half) ..."

"$python" -m venv --clear "$venv"
if ! "$venv/bin/python" -m pip install \
    --disable-pip-version-check --no-input --progress-bar off --compile \
    --require-hashes --only-binary :all: --no-deps \
    -r "$lock" >"$log" 2>&1 || ! "$venv/bin/python" -m pip check >>"$log" 2>&1; then
    tail -n 25 "$log" >&2
    echo "The installation failed; the whole log is in $log. Run the same command again to begin anew." >&2
    exit 1
fi
cp "$lock" "$done_mark"
echo "Set up in $(($(date +%s) - started)) s."
