#!/bin/sh
# A PostgreSQL at postgres://postgres:secret@127.0.0.1:5433/postgres for trying things by hand; Ctrl-C ends it.
# `start.sh FOLDER` keeps its data in FOLDER. Needs Debian's `postgresql`.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
data=${1:-$(mktemp -d)}
run() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    # It refuses to run as root.
    chown postgres "$data"
    run() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
fi
if [ ! -e "$data/PG_VERSION" ]; then
    password=$(mktemp)
    echo secret > "$password"
    chmod a+r "$password"
    run "$bin/initdb" --username=postgres --auth=scram-sha-256 --encoding=UTF8 --pwfile="$password" --pgdata="$data"
    rm "$password"
fi
run "$bin/postgres" -D "$data" -p 5433 -c listen_addresses=127.0.0.1 -c unix_socket_directories=
