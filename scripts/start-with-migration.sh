#!/bin/sh
# Waits for the database, migrates it, and becomes the backend. A migration that fails is the end:
# the backend never meets a database that is not as it expects.
#
# Arguments go to `xtask migrate`, for instance --wait 2min.
set -eu

# Called in the workspace rather than in the container, there are no installed programs.
if command -v xtask >/dev/null && command -v backend >/dev/null; then
    migrate() { xtask migrate "$@"; }
    backend=backend
else
    cd -- "$(dirname -- "$0")/.."
    cargo build --release --package xtask --package backend
    migrate() { target/release/xtask migrate "$@"; }
    backend=target/release/backend
fi

# As process 1 of a container this shell would not even notice SIGTERM: pass it on. `wait` ends when a
# signal comes, before the migration has: wait again until it is gone.
stopped=
migrate "$@" &
migration=$!
trap 'stopped=1; kill -TERM "$migration" 2>/dev/null || :' TERM INT
status=0
wait "$migration" || status=$?
while kill -0 "$migration" 2>/dev/null; do
    status=0
    wait "$migration" || status=$?
done
trap - TERM INT

if [ "$status" -ne 0 ]; then
    echo "start-with-migration: the migration failed ($status), the backend is not started" >&2
    exit "$status"
fi
if [ -n "$stopped" ]; then exit 143; fi
exec "$backend"
