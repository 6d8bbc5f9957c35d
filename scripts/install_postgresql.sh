#!/bin/sh
# Print the folder with PostgreSQL's programs, 14 or later; install Debian's package if there is none.
#
# Guarantees: where a PostgreSQL is found, nothing is changed. The package is installed only by root,
# and without the cluster that Debian would make and start with it: the tests make their own, in a
# temporary folder. With --find nothing is ever installed. POSTGRESQL_BIN=… asks only that folder.
set -eu

# initdb is what makes a server: a client's package has psql and pg_dump only.
is_new_enough() {
    version=$("$1/initdb" --version 2>/dev/null) || return 1
    version=${version#*(PostgreSQL) }
    version=${version%%[!0-9]*}
    [ "${version:-0}" -ge 14 ] && [ -x "$1/pg_ctl" ] && [ -x "$1/pg_dump" ]
}

find_it() {
    if [ -n "${POSTGRESQL_BIN:-}" ]; then
        is_new_enough "$POSTGRESQL_BIN" && echo "$POSTGRESQL_BIN"
        return
    fi
    # A name on the PATH may be a link to one program; the others stand beside what it points to.
    initdb=$(command -v initdb || true)
    if [ -n "$initdb" ]; then
        initdb=$(readlink -f "$initdb" 2>/dev/null || echo "$initdb")
    fi
    for folder in "${initdb%/*}" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
        /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
        if [ -n "$folder" ] && is_new_enough "$folder"; then
            echo "$folder"
            return
        fi
    done
    return 1
}

give_up() {
    echo "PostgreSQL 14 or later is needed and $1. Install it (apt-get install postgresql, brew install postgresql@17), or name its folder of programs: POSTGRESQL_BIN=/path/to/bin" >&2
    exit 1
}

if find_it; then
    exit 0
fi
if [ "${1:-}" = --find ] || [ -n "${POSTGRESQL_BIN:-}" ]; then
    give_up "was not found"
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    give_up "was not found, and only root can install it, with apt-get"
fi

# Debian's package reads this folder before it makes its own cluster.
no_cluster=/etc/postgresql-common/createcluster.d/amplitude-tests.conf
log=$(mktemp)
trap 'rm -f "$no_cluster" "$log"' EXIT
mkdir -p "${no_cluster%/*}"
echo "create_main_cluster = false" >"$no_cluster"

echo "Installing PostgreSQL (once, about half a minute) ..." >&2
if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y postgresql; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    give_up "apt-get could not install it"
fi
find_it || give_up "Debian's package is older"
