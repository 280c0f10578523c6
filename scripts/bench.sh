#!/usr/bin/env bash
# Times whole commands against each other, on a server that you name: RUNS of each, in turn, as medians.
#
#   PGHOST=127.0.0.1 PGUSER=postgres PGPASSWORD=… scripts/bench.sh [RUNS]
#
# The role must be a superuser; databases called bench_* are made and dropped. Needs psql and pg_dump, and takes
# sqlx (sqlx-cli) into the comparison if it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:-15}
: "${PGHOST:=127.0.0.1}" "${PGPORT:=5432}" "${PGUSER:=postgres}"
export PGHOST PGPORT PGUSER
export POSTGRES_HOST=$PGHOST POSTGRES_PORT=$PGPORT POSTGRES_USER=$PGUSER POSTGRES_PASSWORD=${PGPASSWORD:-}
# Debian's psql is a wrapper that takes longer than the query.
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
PATH=${bin:+$bin:}$PATH

work=$(mktemp -d)
trap 'rm -rf "$work"; for db in noop files fresh tables sqlx; do dropdb --if-exists "bench_$db" 2>/dev/null; done' EXIT

cargo build --quiet --package xtask --target-dir target/xtask
xtask=$PWD/target/xtask/debug/xtask

new() { dropdb --if-exists "bench_$1" 2>/dev/null && createdb "bench_$1"; }

# milliseconds NAME: runs the function of that name once.
milliseconds() {
    local before=$EPOCHREALTIME
    "$1" >/dev/null 2>"$work/log" || { cat "$work/log" >&2; return 1; }
    local after=$EPOCHREALTIME
    echo $(((${after/./} - ${before/./}) / 10)) | sed -E 's/(..)$/.\1/; s/^\./0./'
}

# compare BASE NAME…: each in turn, then the medians and their ratios to BASE's. NAME_before is not timed.
compare() {
    local n name base
    for ((n = 0; n < runs; n++)); do
        for name in "$@"; do
            if declare -F "${name}_before" >/dev/null; then "${name}_before" >/dev/null 2>&1; fi
            milliseconds "$name" >>"$work/$name"
        done
    done
    base=$(median "$1")
    for name in "$@"; do
        awk -v name="$name" -v median="$(median "$name")" -v base="$base" \
            'BEGIN { printf "  %-22s %9.1f ms   %6.2f\n", name, median, median / base }'
    done
}
median() { sort -n "$work/$1" | sed -n "$((($(wc -l <"$work/$1") + 1) / 2))p"; }

psql_select_1() { psql -X -d bench_noop -c 'select 1'; }
# Nobody has written anything on the server since the last run.
xtask_noop_before() { xtask_noop; }
xtask_noop() { POSTGRES_DB=bench_noop "$xtask" migrate; }
# The application has written since.
xtask_noop_written_before() { psql -X -d bench_noop -c 'UPDATE sync_metadata SET last_sync_at = now()'; }
xtask_noop_written() { xtask_noop; }
# A database of its own: the files change the catalog each time they run.
psql_files_again() { psql -X -q -v ON_ERROR_STOP=1 -d bench_files "${files[@]}"; }
sqlx_noop() { sqlx migrate run --source "$work/sqlx" --database-url "postgres://$PGUSER:${PGPASSWORD:-}@$PGHOST:$PGPORT/bench_sqlx"; }

psql_fresh_before() { new fresh; }
psql_fresh() { psql -X -q -v ON_ERROR_STOP=1 -d bench_fresh "${files[@]}"; }
xtask_fresh_before() { new fresh; }
xtask_fresh() { POSTGRES_DB=bench_fresh "$xtask" migrate; }

pg_dump_tables() { pg_dump -s -d bench_tables; }
xtask_tables_noop() { POSTGRES_DB=bench_tables "$xtask" migrate --sql "$work/tables"; }

files=()
for file in sql/*.sql; do files+=(-f "$file"); done
echo "server: $(psql -X -At -d postgres -c 'select version()'), $runs runs each"

echo "nothing to do, the portal's schema:"
new noop
xtask_noop
new files
psql_files_again
contestants=(psql_select_1 xtask_noop xtask_noop_written psql_files_again)
if command -v sqlx >/dev/null; then
    # One migration with the same tables, which has been run.
    mkdir "$work/sqlx"
    new sqlx
    pg_dump -s -d bench_noop -n public | grep -v '^\\' >"$work/sqlx/0001_portal.sql"
    sed -i '/CREATE SCHEMA public/d; /set_config/d; s/^CREATE FUNCTION/CREATE EXTENSION IF NOT EXISTS "uuid-ossp";\n&/' "$work/sqlx/0001_portal.sql"
    if sqlx_noop >/dev/null 2>"$work/log"; then contestants+=(sqlx_noop); else cat "$work/log" >&2; fi
fi
compare "${contestants[@]}"

echo "an empty database, the portal's schema:"
compare psql_fresh xtask_fresh

echo "1,000 tables with 2 indexes each:"
mkdir "$work/tables"
for ((n = 1; n <= 1000; n++)); do
    echo "CREATE TABLE IF NOT EXISTS t$n (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now());"
    echo "CREATE INDEX IF NOT EXISTS t${n}_name ON t$n (name);"
    echo "CREATE INDEX IF NOT EXISTS t${n}_at ON t$n (at);"
done >"$work/tables/01_tables.sql"
"$xtask" snapshot --sql "$work/tables" 2>&1 | grep -E '^(wrote|error)' | sed "s|$work/||"
new tables
xtask_tables_noop >/dev/null 2>&1
compare pg_dump_tables xtask_tables_noop

echo "peak memory of xtask migrate, kB (portal empty / nothing to do; 1,000 tables nothing to do):"
new fresh
for call in xtask_fresh xtask_noop xtask_tables_noop; do
    export -f "$call"
    xtask=$xtask work=$work /usr/bin/time -f '  %M' bash -c "$call" 2>&1 >/dev/null | tail -n 1
done
