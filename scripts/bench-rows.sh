#!/usr/bin/env bash
# Times what each migration does on a table of many rows although there is nothing to do: every statement of the
# phases that runs each time, and a whole no-op migrate.
#
#   PGHOST=127.0.0.1 PGUSER=postgres PGPASSWORD=… scripts/bench-rows.sh [ATTENDEES]
#
# The role must be a superuser; the database bench_rows is made and dropped. Needs psql.
set -euo pipefail
cd "$(dirname "$0")/.."

attendees=${1:-2000000}
: "${PGHOST:=127.0.0.1}" "${PGPORT:=5432}" "${PGUSER:=postgres}"
export PGHOST PGPORT PGUSER PGDATABASE=bench_rows
export POSTGRES_HOST=$PGHOST POSTGRES_PORT=$PGPORT POSTGRES_USER=$PGUSER POSTGRES_PASSWORD=${PGPASSWORD:-} POSTGRES_DB=bench_rows
psql() { command psql -X -q -v ON_ERROR_STOP=1 "$@"; }

trap 'dropdb --if-exists --force bench_rows' EXIT
dropdb --if-exists --force bench_rows
createdb bench_rows

cargo build --quiet --package xtask --target-dir target/xtask
xtask=$PWD/target/xtask/debug/xtask
"$xtask" migrate 2>/dev/null

echo "loading $attendees attendees, a tenth as many events and a hundredth as many admins …"
psql <<SQL
INSERT INTO events (airtable_id, event_name, email, triage_status)
SELECT 'recE' || n, 'event ' || n, 'e' || n || '@example.org', 'approved' FROM generate_series(1, $attendees / 10) n;
INSERT INTO admins (airtable_id, email, user_status)
SELECT 'recD' || n, 'd' || n || '@example.org', 'active' FROM generate_series(1, $attendees / 100) n;
INSERT INTO attendees (airtable_id, email, event_airtable_id)
SELECT 'recA' || n, 'a' || n || '@example.org', 'recE' || (1 + n % ($attendees / 10)) FROM generate_series(1, $attendees) n;
VACUUM ANALYZE;
SQL

echo "statements that run each time, the third time:"
for file in sql/09_*.sql sql/10_*.sql; do
    for _ in 1 2; do psql -f "$file"; done
    psql -c '\timing on' -f "$file" | sed "s|^|  ${file#sql/}  |"
done

echo "a no-op migrate, five times; then five that have to read the catalog:"
for change in "SELECT" "UPDATE migration.runs SET fingerprint = 'another'"; do
    for _ in 1 2 3 4 5; do
        psql -c "$change" >/dev/null
        "$xtask" migrate --json 2>/dev/null | grep -oE '"(milliseconds|statements_run)":[0-9.]+' | paste -sd ' ' | sed 's/^/  /'
    done
done
