#!/usr/bin/env bash
# Hands over from backend to backend while clients use it, and counts at the clients what failed and what was slow.
#
#   scripts/bench-handover.sh [--times N] [--rate R] [--rows N] [--same-build] [--keep]
#
# `deploy` starts a backend; then N more deploys (10) hand over to a new one, each built anew from another commit id, one
# after the other. In the middle one there is a full migration: all indexes, foreign keys, checks, triggers, functions and
# views of the portal have been dropped. Meanwhile R requests a second (500), half of them on 50 connections that are kept,
# half on a new connection each, are due at fixed times: one that has to wait for an earlier one counts from the moment at
# which it should have been sent.
#
# --rows        events in the database, 100,000 without it.
# --same-build  no compiler beside the load: each hand-over is to the same build.
# --keep        leaves the logs, and says where.
#
# The exit status is 1 if a request failed or took more than 500 ms. Needs PostgreSQL's programs, psql too; the server is
# this script's own. It compiles what it calls.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "$0"; exit "$1"; }
times=10 rate=500 rows=100000 new_build=true keep=false
while (($#)); do
    case $1 in
        --times) times=$2; shift ;;
        --rate) rate=$2; shift ;;
        --rows) rows=$2; shift ;;
        --same-build) new_build=false ;;
        --keep) keep=true ;;
        --help | -h) usage 0 ;;
        *) echo "bench-handover.sh: what is $1?" >&2; usage 2 >&2 ;;
    esac
    shift
done

cargo build -q --package xtask --target-dir target/xtask
cargo build -q --release --locked --package backend
cargo build -q --release --locked --package backend --example load
xtask=$PWD/target/xtask/debug/xtask
load=${CARGO_TARGET_DIR:-$PWD/target}/release/examples/load

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
PATH=$PATH${bin:+:$bin}
work=$(mktemp -d)
chmod 755 "$work"
finish() {
    set +e
    # shellcheck disable=SC2046 # one word a job
    kill $(jobs -p) 2>/dev/null
    wait
    if $keep; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM
until_said() { # FILE TEXT
    for ((i = 0; i < 1200; i++)); do
        if grep -q "$2" "$1" 2>/dev/null; then return; fi
        sleep 0.1
    done
    echo "bench-handover.sh: nobody says: $2" >&2
    cat "$1" >&2
    exit 1
}
sql() { psql -X -q -v ON_ERROR_STOP=1 "$DATABASE_URL" "$@"; }

"$xtask" dev --no-backend --postgres local --data "$work/data" --json >"$work/dev.json" 2>"$work/dev.log" &
until_said "$work/dev.log" 'running until'
DATABASE_URL=$(sed 's/.*"database_url":"\([^"]*\)".*/\1/' "$work/dev.json")
export DATABASE_URL
sql <<SQL
INSERT INTO public.events (airtable_id, event_name, email, triage_status)
    SELECT 'recEvent' || n, 'event ' || n, n || '@example.org', 'approved'
    FROM pg_catalog.generate_series(1, $rows) AS n;
ANALYZE public.events;
SQL

address=127.0.0.1:$(( 20000 + $$ % 10000 ))
deploy=("$xtask" deploy --bind "$address" --meeting "$work/meeting")
export GIT_COMMIT=bench-0
"${deploy[@]}" >"$work/front.log" 2>&1 &
until_said "$work/front.log" 'the backend is ready on'

mkfifo "$work/hold"
for connections in 50 50n; do
    "$load" "$address" 0 "$connections" $((rate / 2)) <"$work/hold" >"$work/load-$connections" 2>&1 &
    loads+=($!)
done
exec 9>"$work/hold"
load_began=${EPOCHREALTIME/./}

for ((n = 1; n <= times; n++)); do
    if ((n == (times + 1) / 2)); then
        sql >"$work/dropped.log" 2>&1 <<'SQL'
DO $$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT pg_catalog.format('DROP VIEW %s CASCADE', c.oid::pg_catalog.regclass) FROM pg_catalog.pg_class c
        WHERE relnamespace = 'public'::pg_catalog.regnamespace AND relkind = 'v'
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        UNION ALL
        SELECT pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', conrelid::pg_catalog.regclass, conname)
        FROM pg_catalog.pg_constraint
        WHERE connamespace = 'public'::pg_catalog.regnamespace AND contype IN ('c', 'f') AND conrelid <> 0
        UNION ALL
        SELECT pg_catalog.format('DROP FUNCTION IF EXISTS %s CASCADE', p.oid::pg_catalog.regprocedure)
        FROM pg_catalog.pg_proc p
        WHERE pronamespace = 'public'::pg_catalog.regnamespace
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        UNION ALL
        SELECT pg_catalog.format('DROP INDEX IF EXISTS %s', indexrelid::pg_catalog.regclass) FROM pg_catalog.pg_index
        JOIN pg_catalog.pg_class c ON c.oid = indrelid
        WHERE relnamespace = 'public'::pg_catalog.regnamespace AND NOT indisunique
    LOOP
        EXECUTE command;
    END LOOP;
END $$;
SQL
    fi
    if $new_build; then export GIT_COMMIT=bench-$n; fi
    began=${EPOCHREALTIME/./}
    "${deploy[@]}" >"$work/deploy-$n.log" 2>&1 || { cat "$work/deploy-$n.log"; exit 1; }
    awk -v n="$n" -v us="$((${EPOCHREALTIME/./} - began))" -v did="$(grep -o '[0-9]* statements\? run\|nothing to do' "$work/deploy-$n.log" | head -n 1)" \
        -v at="$((began - load_began))" 'BEGIN { printf "hand-over %2d  at %3d s, %5.1f s  migration: %s\n", n, at / 1e6, us / 1e6, did }'
done

exec 9>&-
status=0
for pid in "${loads[@]}"; do wait "$pid" || status=1; done
echo "kept connections: $(cat "$work/load-50")"
echo "new connections:  $(cat "$work/load-50n")"
grep -q ' 0 over 500ms' "$work/load-50" && grep -q ' 0 over 500ms' "$work/load-50n" || status=1
exit "$status"
