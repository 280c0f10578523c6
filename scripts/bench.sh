#!/usr/bin/env bash
# Times whole commands against each other, on a server that you name: RUNS of each, in turn, as medians.
#
#   PGHOST=127.0.0.1 PGUSER=postgres PGPASSWORD=… scripts/bench.sh [RUNS [SECTION…]]
#
# Sections: noop, fresh, tables, snapshot, memory, build, fleet (500 databases, or FLEET of them); all but the last two
# without one. The role must be a superuser;
# databases called bench_* are made and dropped. Needs psql and pg_dump, and takes sqlx (sqlx-cli) into the comparison if
# it is there. The scratch servers of snapshot are the local binaries' unless XTASK_POSTGRES says otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:-15}
sections=${*:2}
: "${sections:=noop fresh tables snapshot memory}"
: "${XTASK_POSTGRES:=local}"
export XTASK_POSTGRES
: "${PGHOST:=127.0.0.1}" "${PGPORT:=5432}" "${PGUSER:=postgres}"
export PGHOST PGPORT PGUSER
export POSTGRES_HOST=$PGHOST POSTGRES_PORT=$PGPORT POSTGRES_USER=$PGUSER POSTGRES_PASSWORD=${PGPASSWORD:-}
# Debian's psql is a wrapper that takes longer than the query.
# As a person finds it: on Debian a script that looks for the newest version and calls it.
installed=$(command -v psql)
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
PATH=${bin:+$bin:}$PATH

work=$(mktemp -d)
trap 'rm -rf "$work"; for db in noop fresh tables analysed sqlx; do dropdb --if-exists "bench_$db" 2>/dev/null; done' EXIT

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
    for name in "$@"; do rm -f "$work/times.$name"; done
    for ((n = 0; n < runs; n++)); do
        for name in "$@"; do
            if declare -F "${name}_before" >/dev/null; then "${name}_before" >/dev/null 2>&1; fi
            milliseconds "$name" >>"$work/times.$name"
        done
    done
    base=$(median "$1")
    for name in "$@"; do
        awk -v name="$name" -v median="$(median "$name")" -v base="$base" \
            'BEGIN { printf "  %-22s %9.1f ms   %6.2f\n", name, median, median / base }'
    done
}
median() { sort -n "$work/times.$1" | sed -n "$((($(wc -l <"$work/times.$1") + 1) / 2))p"; }

psql_select_1() { psql -X -d bench_noop -c 'select 1'; }
psql_as_installed() { "$installed" -X -d bench_noop -c 'select 1'; }
# Nobody has written anything on the server since the last run.
xtask_noop_before() { xtask_noop; }
xtask_noop() { POSTGRES_DB=bench_noop "$xtask" migrate; }
# The application has written since.
xtask_noop_written_before() { psql -X -d bench_noop -c 'UPDATE sync_metadata SET last_sync_at = now()'; }
xtask_noop_written() { xtask_noop; }
sqlx_noop() { sqlx migrate run --source "$work/sqlx" --database-url "postgres://$PGUSER:${PGPASSWORD:-}@$PGHOST:$PGPORT/bench_sqlx"; }

psql_fresh_before() { new fresh; }
psql_fresh() { psql -X -q -v ON_ERROR_STOP=1 -d bench_fresh "${files[@]}"; }
xtask_fresh_before() { new fresh; }
xtask_fresh() { POSTGRES_DB=bench_fresh "$xtask" migrate; }

xtask_verify() { POSTGRES_DB=bench_noop "$xtask" verify; }
xtask_verify_analysed() { POSTGRES_DB=bench_analysed "$xtask" verify; }

pg_dump_tables() { pg_dump -s -d bench_tables; }
xtask_tables_verify() { POSTGRES_DB=bench_tables "$xtask" verify --sql "$work/tables"; }
xtask_tables_noop() { POSTGRES_DB=bench_tables "$xtask" migrate --sql "$work/tables"; }

# Three statements to a table: itself and two indexes.
tables() {
    local n
    for ((n = 1; n <= $1 / 3; n++)); do
        cat <<SQL
CREATE TABLE IF NOT EXISTS t$n (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now());
CREATE INDEX IF NOT EXISTS t${n}_name ON t$n (name);
CREATE INDEX IF NOT EXISTS t${n}_at ON t$n (at);
SQL
    done
}
# Ten statements of all kinds to a table.
kinds() {
    local n
    for ((n = 1; n <= $1 / 10; n++)); do
        cat <<SQL
CREATE TABLE IF NOT EXISTS k$n (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, at timestamptz);
CREATE INDEX IF NOT EXISTS k${n}_name ON k$n (name);
ALTER TABLE k$n ADD COLUMN IF NOT EXISTS note text;
CREATE OR REPLACE FUNCTION k${n}_touch() RETURNS trigger LANGUAGE plpgsql AS
    \$\$ BEGIN NEW.at := now(); RETURN NEW; END \$\$;
DROP TRIGGER IF EXISTS k${n}_touch ON k$n;
CREATE TRIGGER k${n}_touch BEFORE UPDATE ON k$n FOR EACH ROW EXECUTE FUNCTION k${n}_touch();
CREATE OR REPLACE VIEW k${n}_names AS SELECT id, name FROM k$n WHERE note IS NULL;
COMMENT ON TABLE k$n IS 'table $n';
COMMENT ON COLUMN k$n.name IS 'name $n';
GRANT SELECT ON k$n TO PUBLIC;
SQL
    done
}
# phases NAME GENERATOR STATEMENTS: a folder of phases, with what snapshot writes.
phases() {
    mkdir -p "$work/$1"
    "$2" "$3" >"$work/$1/01_$2.sql"
    "$xtask" snapshot --sql "$work/$1" 2>&1 | grep -E '^(wrote|error)' | sed "s|$work/||"
}

# Both begin with nothing: psql with an empty database, snapshot with initdb. $phases is a folder.
psql_file_before() { new fresh; }
psql_file() { psql -X -q -v ON_ERROR_STOP=1 -d bench_fresh -f "$phases"/01_*.sql; }
xtask_snapshot_cold() { "$xtask" snapshot --cold --sql "$phases"; }
xtask_snapshot_unchanged() { "$xtask" snapshot --sql "$phases"; }
# The last phase gets another last line each time.
xtask_snapshot_last_before() { echo "COMMENT ON TABLE public.events IS '$RANDOM$RANDOM';" >>"$last"; }
xtask_snapshot_last() { "$xtask" snapshot --sql "$phases"; }

cargo_build_cold_before() { rm -rf "$work/target"; }
cargo_build_cold() { cargo build --package xtask --target-dir "$work/target"; }

files=()
for file in sql/*.sql; do files+=(-f "$file"); done
echo "server: $(psql -X -At -d postgres -c 'select version()'), $runs runs each"

bench_noop() {
    echo "nothing to do, the portal's schema:"
    new noop
    xtask_noop >&/dev/null
    new analysed
    POSTGRES_DB=bench_analysed "$xtask" migrate >&/dev/null
    psql -X -q -d bench_analysed -c 'ANALYZE'
    local contestants=(psql_select_1 psql_as_installed xtask_noop xtask_noop_written xtask_verify xtask_verify_analysed)
    if command -v sqlx >/dev/null; then
        # One migration with the same tables, which has been run.
        mkdir "$work/sqlx"
        new sqlx
        pg_dump -s -d bench_noop -n public | grep -v '^\\' >"$work/sqlx/0001_portal.sql"
        sed -i '/CREATE SCHEMA public/d; /set_config/d; s/^CREATE FUNCTION/CREATE EXTENSION IF NOT EXISTS "uuid-ossp";\n&/' \
            "$work/sqlx/0001_portal.sql"
        if sqlx_noop >/dev/null 2>"$work/log"; then contestants+=(sqlx_noop); else cat "$work/log" >&2; fi
    fi
    compare "${contestants[@]}"
}

bench_fresh() {
    echo "an empty database, the portal's schema:"
    compare psql_fresh xtask_fresh
}

bench_tables() {
    local count
    for count in 1000 5000; do
        echo "$count tables with 2 indexes each:"
        phases tables tables $((count * 3))
        new tables
        xtask_tables_noop >/dev/null 2>&1
        compare pg_dump_tables xtask_tables_verify xtask_tables_noop
    done
}

bench_snapshot() {
    local kind count
    for kind in tables kinds; do
        for count in 500 1500 3000; do
            echo "snapshot, $count statements ($kind):"
            phases "$kind$count" "$kind" "$count"
            phases=$work/$kind$count
            compare psql_file xtask_snapshot_cold
        done
    done
    echo "snapshot, the portal's schema; and with another last phase, and unchanged:"
    cp -r sql "$work/portal"
    phases=$work/portal
    last=$(ls "$phases"/*.sql | tail -n 1)
    compare xtask_snapshot_cold xtask_snapshot_last xtask_snapshot_unchanged
}

bench_memory() {
    local call
    new noop
    xtask_noop >&/dev/null
    new fresh
    phases kinds3000 kinds 3000
    phases=$work/kinds3000
    export xtask work phases
    echo "peak memory, kB:"
    for call in xtask_fresh xtask_noop xtask_verify xtask_snapshot_cold; do
        export -f "$call"
        /usr/bin/time -f "  $call %M" bash -c "$call" 2>&1 >/dev/null | tail -n 1
    done
}

bench_build() {
    echo "cargo build of xtask, cold:"
    runs=1 compare cargo_build_cold
}

# The same command on many databases, and in a loop of the shell.
fleet=${FLEET:-500}
fleet_loop() {
    local n
    for ((n = 1; n <= fleet; n++)); do POSTGRES_DB=bench_fleet_$n "$xtask" migrate --sql "$phases"; done
}
fleet_jobs_1() { "$xtask" migrate --sql "$phases" --databases 'bench_fleet_*' --jobs 1; }
fleet_jobs_4() { "$xtask" migrate --sql "$phases" --databases 'bench_fleet_*' --jobs 4; }
bench_fleet() {
    local n
    new fleet_0
    POSTGRES_DB=bench_fleet_0 "$xtask" migrate >&/dev/null
    for ((n = 1; n <= fleet; n++)); do createdb -T bench_fleet_0 "bench_fleet_$n"; done
    phases=sql
    # Privileges on a database do not come from its template.
    fleet_jobs_4 >&/dev/null
    echo "$fleet databases, nothing to do:"
    runs=1 compare fleet_loop fleet_jobs_1 fleet_jobs_4
    phases=$work/fleet
    cp -r sql "$phases"
    echo "an index more each time:"
    for n in loop jobs_1 jobs_4; do
        echo "CREATE INDEX fleet_$n ON events (city);" >>"$phases/11_index.sql"
        "$xtask" snapshot --sql "$phases" >&/dev/null
        echo "  fleet_$n $(milliseconds "fleet_$n") ms"
    done
    echo "peak memory of the parent, kB:"
    for n in 1 16; do
        /usr/bin/time -f "  $n at a time: %M" "$xtask" migrate --sql "$phases" --databases 'bench_fleet_*' --jobs "$n" 2>&1 >/dev/null | tail -n 1
    done
    for ((n = 0; n <= fleet; n++)); do dropdb "bench_fleet_$n"; done
}

for section in $sections; do "bench_$section"; done
