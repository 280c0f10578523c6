#!/usr/bin/env bash
# Migrates large tables while an application uses them, and tells how long its requests took and whether a row was lost.
#
#   scripts/bench-load.sh [table|rows|forms] [--rows N] [--rate R] [--only FORM] [--kill] [--no-psql] [--keep]
#
# table    what a deploy does to the application, as a table: none; the portal's phases on a legacy database; the same beside
#          a transaction that reads, or writes, for 20 s; nothing to do beside these; a column and an index more; their
#          rollback. With it, how long psql takes for the same statements without load.
# rows     the portal's phases on a legacy database (tests/fixtures/legacy/neglected.sql) with N attendees, 2,000,000
#          without the option. Of these 1 in 40 is a duplicate, 1 in 100 refers to an event that is not there, 1 in 2,000
#          lacks its airtable_id or its email. Afterwards each row is in its table as it was, or in migration.quarantine.
#          Before that, `psql -f` of the same files on the same table without load. As they stand the files would fail
#          on rows that the constraints refuse, so psql gets a copy that never had such rows: all that it does is DDL.
# forms    each form that keeps nobody waiting, by itself, on a table of N rows: a phase file with one statement.
# The application reads, inserts and changes single rows; five times in two seconds it has a transaction that holds
# rows for 300 ms, as a synchronisation does, which is not counted itself.
#
# --rate   requests a second, 500 without it. An open loop: a request that has to wait for an earlier one counts from
#          the moment at which it should have been sent.
# --only   of the forms this one: create_index, unique, primary_key, foreign_key, check, set_not_null, add_column,
#          partitioned, several.
# --kill   kills xtask (SIGKILL) between any two messages that it sends to the server, of rows that it sets aside too, and
#          migrates again, until there is nothing to do (by strace, which has to be installed).
# --keep   leaves the server's folder with its log, and the logs of pgbench, and says where.
#
# The first figures are those of the load alone, on the same server. Who shares the machine with others has slow requests
# there too. The server keeps 2 GB of WAL files for reuse, as one that has been in use does; a new one has to write each
# file full of zeros first, while every commit waits. The exit status is 1 if a row is lost, a request fails, or the
# migration does not converge; slow requests are told only. XTASK_BIN names the program, otherwise it is compiled. Needs
# initdb, psql and pgbench: those in the PATH, or Debian's newest. The server is this script's own (as root, the user
# postgres's), on 127.0.0.1, with fsync, in a folder of its own below TMPDIR (about 3 GB for 2,000,000 rows); it ends with
# the script.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "$0"; exit "$1"; }
mode=table rows=2000000 rate=500 only= kill=false with_psql=true keep=false
while (($#)); do
    case $1 in
        table | rows | forms) mode=$1 ;;
        --rows) rows=$2; shift ;;
        --rate) rate=$2; shift ;;
        --only) only=$2; shift ;;
        --kill) kill=true ;;
        --no-psql) with_psql=false ;;
        --keep) keep=true ;;
        --help | -h) usage 0 ;;
        *) echo "bench-load.sh: what is $1?" >&2; usage 2 >&2 ;;
    esac
    shift
done
events=$((rows / 1000 + 1))

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
PATH=$PATH${bin:+:$bin}
work=$(mktemp -d)
loader=
finish() {
    set +e
    # shellcheck disable=SC2046 # one word a job
    kill $(jobs -p) 2>/dev/null
    as_server pg_ctl -D "$work/data" -m immediate stop >/dev/null 2>&1
    if $keep; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

# The server refuses to run as root.
as_server() { if ((EUID)); then "$@"; else setpriv --reuid postgres --regid postgres --clear-groups -- "$@"; fi; }
((EUID)) || chown postgres "$work"
say() { printf '%(%H:%M:%S)T %s\n' -1 "$*"; }
now() { echo "${EPOCHREALTIME/./}"; }
seconds() { awk -v us="$1" 'BEGIN { printf us < 1e6 ? "%.2f" : "%.1f", us / 1e6 }'; }
psql() { command psql -X -q -v ON_ERROR_STOP=1 "$@"; }
ask() { psql -A -t -F ' ' -c "$@"; }

start_server() {
    as_server initdb -D "$work/data" -U postgres -A trust -E UTF8 --locale C >"$work/initdb.log"
    cat >>"$work/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 512MB
maintenance_work_mem = 128MB
max_wal_size = 4GB
min_wal_size = 2GB
fsync = on
log_min_messages = log
log_min_duration_statement = 100
log_lock_waits = on
log_line_prefix = '%m [%p] %a: '
CONF
    local attempt
    export PGHOST=127.0.0.1 PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=10
    export POSTGRES_HOST=$PGHOST POSTGRES_USER=$PGUSER POSTGRES_SSL=disable
    # A port that is taken is no reason to give up.
    for attempt in 1 2 3 4 5; do
        export PGPORT=$((20000 + RANDOM % 12000))
        if as_server pg_ctl -D "$work/data" -l "$work/server.log" -o "-p $PGPORT" -w start >/dev/null 2>&1; then
            export POSTGRES_PORT=$PGPORT
            return
        fi
    done
    echo "bench-load.sh: the server does not start:" >&2
    tail -n 20 "$work/server.log" >&2
    return 1
}

# use DATABASE: that one from now on.
use() { export PGDATABASE=$1 POSTGRES_DB=$1; }

# load_begins: the application, until load_ends. The files are $work/requests/NAME@WEIGHT.sql.
load_begins() {
    local scripts=() file
    for file in "$work"/requests/*.sql; do
        local name=${file%.sql}
        scripts+=(-f "$file@${name##*@}")
    done
    rm -f "$work"/log.*
    (cd "$work" && exec pgbench -n -R "$rate" -j 2 -c 16 -M prepared -T 7200 --log --log-prefix="$work/log" "${scripts[@]}" \
        >"$work/pgbench.out" 2>&1) &
    loader=$!
}
# load_ends: waits for the requests under way.
load_ends() {
    kill -ALRM "$loader" 2>/dev/null || true
    wait "$loader" || { echo "  FAILED requests:"; grep -v '^pgbench: warning' "$work/pgbench.out" | grep -m 5 'error\|abort'; failed=1; }
    psql <<SQL
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS load;
DROP TABLE IF EXISTS load.requests;
CREATE UNLOGGED TABLE load.requests (client int, number int, us bigint, script int, epoch bigint, epoch_us int, lag bigint);
$(for file in "$work"/log.*; do echo "\\copy load.requests from '$file' (delimiter ' ')"; done)
SQL
}
# latency NAME FROM TO: of the requests that ended in between (microseconds of the epoch).
latency() {
    ask "SELECT format('  %-28s %s requests, median %s ms, 99.9 %% below %s ms, longest %s ms, over 100 ms: %s', '$1:', count(*),
            round(percentile_cont(0.5) WITHIN GROUP (ORDER BY us)::numeric / 1000, 1),
            round(percentile_cont(0.999) WITHIN GROUP (ORDER BY us)::numeric / 1000, 1),
            round(max(us) / 1000.0, 1), count(*) FILTER (WHERE us > 100000))
         FROM load.requests WHERE script < 4 AND epoch * 1000000 + epoch_us BETWEEN $2 AND $3"
}
# slow FROM TO: bursts of requests over 100 ms, and what migrate was at.
slow() {
    ask "WITH slow AS (
            SELECT to_timestamp(epoch + epoch_us / 1e6 - us / 1e6) AS sent, to_timestamp(epoch + epoch_us / 1e6) AS ended, us
            FROM load.requests WHERE us > 100000 AND script < 4 AND epoch * 1000000 + epoch_us BETWEEN $1 AND $2),
         bursts AS (
            SELECT min(sent) AS sent, max(ended) AS ended, max(us) AS longest, count(*) AS requests FROM (
                SELECT *, count(*) FILTER (WHERE new) OVER (ORDER BY sent) AS burst FROM (
                    SELECT *, coalesce(sent > max(ended) OVER (ORDER BY sent ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
                                       true) AS new FROM slow) AS a) AS b
            GROUP BY burst)
         SELECT format('    at %s s: %s requests, the longest %s ms; %s', round(extract(epoch FROM b.sent) - $1 / 1e6, 1),
            b.requests, b.longest / 1000,
            coalesce((SELECT string_agg(format('%s:%s %s', s.file, s.line, left(regexp_replace(s.summary, '\s+', ' ', 'g'), 70)), ' | ')
                      FROM migration.steps AS s
                      WHERE s.started < b.ended AND s.started + s.duration > b.sent), 'between steps'))
         FROM bursts AS b ORDER BY b.longest DESC LIMIT 12"
}

# How much is done: steps, and rows set aside; nothing of what is not there yet.
progress() {
    ask "SELECT count(*) FROM migration.steps" 2>/dev/null || true
    ask "SELECT count(*) FROM migration.quarantine" 2>/dev/null || true
}
# migrate: until it ends by itself. Sets kills.
migrate() {
    kills=0
    if ! $kill; then
        "$xtask" migrate "$@" >"$work/migrate.log" 2>&1 || { tail -n 20 "$work/migrate.log"; return 1; }
        return
    fi
    # Killed before its nth message: when all that it has sent is done. A run that got no further is killed one later.
    local nth=1 before status
    while ((kills < 400)); do
        before=$(progress)
        status=0
        { strace -qq -f -o "$work/strace.log" -e trace=sendto -e inject=sendto:signal=KILL:when=$nth \
            "$xtask" migrate "$@" >"$work/migrate.log" 2>&1; } 2>"$work/killed.log" || status=$?
        if ((status != 137)); then
            if ((status)); then tail -n 20 "$work/migrate.log"; fi
            return "$status"
        fi
        kills=$((kills + 1))
        if [[ $(progress) == "$before" ]]; then nth=$((nth + 1)); fi
    done
    echo "  killed 400 times, and still something to do"
    return 1
}
# under_load NAME [ARGUMENT…]: migrates, with the load before, beside and after it; figures of all. Sets took.
under_load() {
    local name=$1 began ended
    shift
    load_begins
    sleep "$lead"
    began=$(now)
    migrate "$@" || { echo "  FAILED: $name does not converge"; failed=1; }
    ended=$(now)
    took=$((ended - began))
    sleep 2
    load_ends
    say "$name: $(seconds "$took") s$($kill && echo ", killed $kills times")"
    latency "load alone" $((began - lead * 1000000 + 1000000)) "$began"
    latency "beside migrate" "$began" $((ended + 1000000))
    slow "$began" $((ended + 1000000))
}

# The application, as far as the portal's tables go.
portal_requests() {
    mkdir "$work/requests"
    # The ids of rows follow from their numbers, so the application knows some; a legacy database has no other index.
    # Columns are named: a prepared SELECT * fails whenever a column is added, whoever adds it.
    cat >"$work/requests/1_insert@200.sql" <<SQL
\set n random(1, 9000000000000)
INSERT INTO attendees (id, airtable_id, email, first_name, event_airtable_id)
VALUES (md5('load' || :n)::uuid, 'recLoad' || :n, 'load' || :n || '@example.org', 'load', 'recEvent' || (1 + mod(:n::bigint, $events)));
SQL
    cat >"$work/requests/2_update@300.sql" <<SQL
\set n random(1, $rows)
UPDATE attendees SET phone = '+' || :n WHERE id = md5('a' || :n)::uuid;
SQL
    cat >"$work/requests/3_select@400.sql" <<SQL
\set n random(1, $rows)
SELECT id, airtable_id, email, first_name, event_airtable_id FROM attendees WHERE id = md5('a' || :n)::uuid;
SQL
    cat >"$work/requests/4_event@100.sql" <<SQL
\set n random(1, $events)
BEGIN;
SELECT id, event_name, triage_status FROM events WHERE id = md5('e' || :n)::uuid;
UPDATE events SET notes = 'note ' || :n WHERE id = md5('e' || :n)::uuid;
COMMIT;
SQL
    cat >"$work/requests/5_lasts@5.sql" <<SQL
\set n random(1, $rows - 20)
BEGIN;
UPDATE attendees SET phone = '-' || :n WHERE id IN (SELECT md5('a' || n)::uuid FROM generate_series(:n::int, :n::int + 20) AS n);
SELECT count(*) FROM events;
\sleep 300 ms
COMMIT;
SQL
}
# Tables that are there already are told, and psql goes on.
psql_files() {
    local file
    for file in sql/*.sql; do command psql -X -q -f "$file" >/dev/null; done
}
# by_hand: the work of `rows` with psql. Sets by_hand_took, and of that psql_took for the files.
by_hand() {
    legacy_database by_hand
    local began cleaned ended
    began=$(now)
    psql -f scripts/bench-load-by-hand.sql
    cleaned=$(now)
    psql_files 2>>"$work/psql.log"
    ended=$(now)
    psql_took=$((ended - cleaned)) by_hand_took=$((ended - began))
    grep 'ERROR' "$work/psql.log" | grep -v 'already exists$' | head -n 5 | sed 's/^/  told and passed over by /' || true
}

rows_mode() {
    lead=20
    portal_requests
    if $with_psql; then
        say "psql without load: rows cleaned up by hand, then psql -f of the same files …"
        by_hand
        say "psql: $(seconds $((by_hand_took - psql_took))) s for the rows, $(seconds $psql_took) s for the files"
        use postgres
        dropdb by_hand
    fi
    legacy_database legacy
    local duplicates orphans nulls
    read -r duplicates orphans nulls < <(ask "SELECT count(*) FILTER (WHERE kind = 'duplicate'),
        count(*) FILTER (WHERE kind = 'orphan'), count(*) FILTER (WHERE kind = 'null') FROM load.originals")
    say "a legacy database: $rows attendees, of these $duplicates duplicates, $orphans orphans, $nulls with a NULL"
    under_load "migrate"
    ask "SELECT format('  %s steps: %s s, of these %s s waiting for locks', count(*), round(extract(epoch FROM sum(duration)), 1),
             round(extract(epoch FROM sum(lock_wait)), 1)) FROM migration.steps"
    echo "  slowest steps:"
    ask "SELECT format('    %6s ms  %s:%s %s', round(extract(epoch FROM duration) * 1000), file, line,
             left(regexp_replace(summary, '\s+', ' ', 'g'), 90)) FROM migration.steps ORDER BY duration DESC LIMIT 12"
    if $with_psql; then
        awk -v ours="$took" -v files="$psql_took" -v all="$by_hand_took" \
            'BEGIN { printf "  %.2f times as long as psql for the same work, %.2f times as long as psql -f alone\n", ours / all, ours / files }'
    fi
    "$xtask" verify >/dev/null 2>"$work/verify.log" || { echo "  FAILED: verify"; tail -n 5 "$work/verify.log"; failed=1; }
    echo "  rows:"
    ask "SELECT format('    %6s %s', count(*), table_name || ': ' || reason) FROM migration.quarantine GROUP BY table_name, reason ORDER BY 1"
    local lost load_lost wrong
    lost=$(ask "SELECT count(*) FROM load.originals AS o
        LEFT JOIN attendees AS a ON a.id = o.id AND a.airtable_id = o.airtable_id AND a.email = o.email
             AND a.event_airtable_id = o.event_airtable_id
        LEFT JOIN (SELECT (row_data->>'id')::uuid AS id, row_data FROM migration.quarantine) AS q ON q.id = o.id
             AND q.row_data->>'airtable_id' IS NOT DISTINCT FROM o.airtable_id AND q.row_data->>'email' IS NOT DISTINCT FROM o.email
             AND q.row_data->>'event_airtable_id' = o.event_airtable_id
        WHERE a.id IS NULL AND q.id IS NULL")
    load_lost=$(ask "SELECT (SELECT count(*) FROM load.requests WHERE script = 0) - (SELECT count(*) FROM attendees WHERE first_name = 'load')")
    # Of each airtable_id the newest row is there.
    wrong=$(ask "SELECT count(*) FROM load.originals AS o WHERE kind <> 'null' AND is_newest
        AND NOT EXISTS (SELECT FROM attendees AS a WHERE a.id = o.id)")
    echo "    of $rows rows in neither their table nor the quarantine: $lost; of those that the load inserted: $load_lost; newest of duplicates gone: $wrong"
    if [[ $lost$load_lost$wrong != 000 ]]; then failed=1; fi
}
# legacy_database NAME: as neglected.sql leaves it, with rows of ours.
legacy_database() {
    createdb "$1"
    use "$1"
    # Some of its rows break its own keys once these are gone.
    psql -f tests/fixtures/legacy/neglected.sql >/dev/null
    psql <<SQL
TRUNCATE events, attendees;
ALTER TABLE attendees ALTER airtable_id DROP NOT NULL, ALTER email DROP NOT NULL;
CREATE SCHEMA load;
CREATE VIEW load.originals AS
SELECT n, md5('a' || n)::uuid AS id,
       CASE WHEN kind = 'null' AND n % 4000 < 2000 THEN NULL WHEN kind = 'duplicate' THEN 'recA' || n - 5 ELSE 'recA' || n END AS airtable_id,
       CASE WHEN kind = 'null' AND n % 4000 >= 2000 THEN NULL ELSE 'person' || n || '@example.org' END AS email,
       CASE WHEN kind = 'orphan' THEN 'recGone' || n ELSE 'recEvent' || 1 + n % $events END AS event_airtable_id,
       -- Every second duplicate is newer than its original.
       timestamptz '2026-01-01' + CASE WHEN kind = 'duplicate' THEN (n / 40 % 2 * 2 - 1) ELSE 0 END * interval '1 day' AS synced_at,
       kind,
       CASE kind WHEN 'duplicate' THEN n / 40 % 2 = 1 ELSE n % 40 <> 2 OR (n + 5) / 40 % 2 = 0 OR n + 5 > $rows END AS is_newest
FROM (SELECT n, CASE WHEN n % 40 = 7 AND n > 5 THEN 'duplicate' WHEN n % 100 = 13 THEN 'orphan'
                     WHEN n % 2000 = 11 THEN 'null' ELSE 'good' END AS kind
      FROM generate_series(1, $rows) AS n) AS numbered;
INSERT INTO events (id, airtable_id, event_name, email, triage_status)
SELECT md5('e' || n)::uuid, 'recEvent' || n, 'event ' || n, 'e' || n || '@example.org', 'approved' FROM generate_series(1, $events) AS n;
INSERT INTO attendees (id, airtable_id, email, first_name, last_name, event_airtable_id, synced_at)
SELECT id, airtable_id, email, 'First' || n, 'Last' || n, event_airtable_id, synced_at FROM load.originals;
VACUUM ANALYZE;
CHECKPOINT;
SQL
}

# beside SQL COMMAND…: in a transaction that ends after 20 s, that statement; when it has run, the command.
beside() {
    local sql=$1 other
    shift
    command psql -X -q -c "SET application_name = 'other'; BEGIN; $sql; SELECT pg_sleep(20); COMMIT" >/dev/null &
    other=$!
    until [[ $(ask "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'other' AND wait_event = 'PgSleep'") == 1 ]]; do
        kill -0 "$other" || return 1
        sleep 0.05
    done
    own_began=$(now)
    "$@" || return
    own_ended=$(now)
    wait "$other"
}
readonly reads="SELECT count(*) FROM (SELECT FROM attendees LIMIT 1000) AS a"
readonly writes="UPDATE attendees SET phone = 'long' WHERE id = md5('a1')::uuid"

# measure NAME PSQL COMMAND…: for the table; PSQL is how long psql took, in microseconds.
measure() {
    local name=$1 psql=$2 own_began= own_ended= began ended
    shift 2
    say "$name"
    began=$(now)
    "$@" >"$work/migrate.log" 2>&1 || { tail -n 20 "$work/migrate.log"; echo "  FAILED: $name"; failed=1; }
    ended=$(now)
    measured+=("$name|$psql|$began|$ended|$((${own_ended:-$ended} - ${own_began:-$began}))")
    # What was told to wait is answered by then.
    sleep 2
}
# rows_of_table: those of what was measured since the load began.
rows_of_table() {
    local row name psql began ended took
    for row in "${measured[@]}"; do
        IFS='|' read -r name psql began ended took <<<"$row"
        ask "SELECT format('| %s | %s | %s ms | %s ms | %s | $(seconds $took) s | $([[ $psql ]] && echo "$(seconds "$psql") s") |',
                '$name', count(*), round(percentile_cont(0.999) WITHIN GROUP (ORDER BY us)::numeric / 1000, 1),
                round(max(us) / 1000.0, 1), count(*) FILTER (WHERE us > 100000))
             FROM load.requests WHERE script < 4 AND epoch * 1000000 + epoch_us BETWEEN $began AND $ended + 1000000" >>"$work/table"
        slow "$began" $((ended + 1000000))
    done
    measured=()
}
table_mode() {
    local release='ALTER TABLE attendees ADD COLUMN seat text; CREATE INDEX attendees_last_name ON attendees (last_name);'
    local back='DROP INDEX attendees_last_name; ALTER TABLE attendees DROP COLUMN seat'
    local began noop_took release_took back_took psql_took by_hand_took
    portal_requests
    say "psql without load …"
    by_hand
    began=$(now)
    psql_files 2>/dev/null
    noop_took=$(($(now) - began)) began=$(now)
    psql -c "$release"
    release_took=$(($(now) - began)) began=$(now)
    psql -c "$back"
    back_took=$(($(now) - began))
    use postgres
    dropdb by_hand

    measured=()
    cp -r sql "$work/release"
    echo "$release" >"$work/release/11_release.sql"
    "$xtask" snapshot --sql "$work/release" >"$work/snapshot.log" 2>&1 || { cat "$work/snapshot.log"; return 1; }
    legacy_database legacy
    load_begins
    sleep 3
    measure "no deploy" "" sleep 20
    measure "legacy database, $rows attendees" "$by_hand_took" "$xtask" migrate
    measure "nothing to do" "$noop_took" "$xtask" migrate
    measure "nothing to do, beside a reader of 20 s" "" beside "$reads" "$xtask" migrate
    measure "nothing to do, beside a writer of 20 s" "" beside "$writes" "$xtask" migrate
    measure "a column and an index more" "$release_took" "$xtask" migrate --sql "$work/release"
    measure "their rollback" "$back_took" "$xtask" rollback --sql "$work/release"
    load_ends
    rows_of_table
    use postgres
    dropdb legacy
    legacy_database legacy
    load_begins
    sleep 3
    measure "legacy database, beside a reader of 20 s" "" beside "$reads" "$xtask" migrate
    load_ends
    rows_of_table
    echo
    echo "| deploy | requests | 99.9 % below | longest | over 100 ms | took | psql, without load |"
    echo "| --- | --- | --- | --- | --- | --- | --- |"
    cat "$work/table"
}

# Of each form: the file, and the statement.
forms=(
    "create_index" "CREATE INDEX t_name ON t (name);"
    "unique" "ALTER TABLE t ADD CONSTRAINT t_code_key UNIQUE (code);"
    "primary_key" "ALTER TABLE t ADD CONSTRAINT t_pkey PRIMARY KEY (id);"
    "foreign_key" "ALTER TABLE t ADD CONSTRAINT t_p_fkey FOREIGN KEY (p_id) REFERENCES p (id);"
    "check" "ALTER TABLE t ADD CONSTRAINT t_size_check CHECK (size > 0);"
    "set_not_null" "ALTER TABLE t ALTER COLUMN name SET NOT NULL;"
    "add_column" "ALTER TABLE t ADD COLUMN note text NOT NULL DEFAULT 'none';"
    "partitioned" "CREATE INDEX m_name ON m (name);"
    "several" "ALTER TABLE t ADD COLUMN more int DEFAULT 1 CHECK (more > 0), ALTER COLUMN code SET NOT NULL, ADD UNIQUE (name, id);"
)
forms_mode() {
    lead=5
    mkdir "$work/requests" "$work/sql"
    cat >"$work/requests/1_insert@200.sql" <<SQL
\set n random(1, 9000000000000)
INSERT INTO t (id, code, name, p_id, size) VALUES ($rows + :n::bigint, 'load' || :n, 'load', 1 + mod(:n::bigint, 1000), 1);
SQL
    cat >"$work/requests/2_update@300.sql" <<SQL
\set n random(1, $rows)
UPDATE t SET size = size + 1 WHERE id = :n;
SQL
    cat >"$work/requests/3_select@400.sql" <<SQL
\set n random(1, $rows)
SELECT id, code, name, p_id, size FROM t WHERE id = :n;
SQL
    cat >"$work/requests/4_parent@100.sql" <<SQL
\set n random(1, 1000)
BEGIN;
SELECT id, name FROM p WHERE id = :n;
UPDATE p SET name = 'name ' || :n WHERE id = :n;
UPDATE m SET name = 'name ' || :n WHERE id = :n;
INSERT INTO m VALUES ($rows + :n, 'load');
COMMIT;
SQL
    cat >"$work/requests/5_lasts@5.sql" <<SQL
\set n random(1, $rows - 20)
BEGIN;
UPDATE t SET size = size + 1 WHERE id BETWEEN :n AND :n + 20;
SELECT count(*) FROM p;
\sleep 300 ms
COMMIT;
SQL
    cat >"$work/sql/01_tables.sql" <<SQL
CREATE TABLE p (id bigint PRIMARY KEY, name text);
CREATE TABLE t (id bigint, code text, name text, p_id bigint, size int);
CREATE UNIQUE INDEX t_id ON t (id);
CREATE TABLE m (id bigint, name text) PARTITION BY RANGE (id);
CREATE TABLE m_first PARTITION OF m FOR VALUES FROM (MINVALUE) TO ($((rows / 2)));
CREATE TABLE m_last PARTITION OF m FOR VALUES FROM ($((rows / 2))) TO (MAXVALUE);
CREATE INDEX m_id ON m (id);
SQL
    createdb forms
    use forms
    "$xtask" snapshot --sql "$work/sql" >/dev/null 2>&1
    "$xtask" migrate --sql "$work/sql" >/dev/null 2>&1
    psql <<SQL
INSERT INTO p SELECT n, 'name ' || n FROM generate_series(1, 1000) AS n;
INSERT INTO t SELECT n, 'code' || n, 'name' || n, 1 + n % 1000, 1 FROM generate_series(1, $rows) AS n;
INSERT INTO m SELECT n, 'name' || n FROM generate_series(1, $rows) AS n;
VACUUM ANALYZE;
CHECKPOINT;
SQL
    say "$rows rows"
    local n
    for ((n = 0; n < ${#forms[@]}; n += 2)); do
        if [[ -n $only && ${forms[n]} != "$only" ]]; then continue; fi
        echo "${forms[n + 1]}" >"$work/sql/$((n / 2 + 10))_${forms[n]}.sql"
        "$xtask" snapshot --sql "$work/sql" >"$work/snapshot.log" 2>&1 || { cat "$work/snapshot.log"; return 1; }
        under_load "${forms[n]}" --sql "$work/sql"
        ask "SELECT format('    step %s: %s ms, %s', number, round(extract(epoch FROM duration) * 1000), summary)
             FROM migration.steps WHERE file LIKE '%${forms[n]}.sql' ORDER BY started"
        "$xtask" verify --sql "$work/sql" >/dev/null 2>&1 || { echo "  FAILED: verify"; failed=1; }
    done
    local lost
    lost=$(ask "SELECT $rows - count(*) FROM t WHERE id <= $rows")
    echo "rows lost: $lost"
    if ((lost)); then failed=1; fi
}

failed=0
: "${XTASK_BIN:=}"
if [[ -z $XTASK_BIN ]]; then
    cargo build --quiet --package xtask --target-dir target/xtask
    XTASK_BIN=$PWD/target/xtask/debug/xtask
fi
xtask=$XTASK_BIN
export XTASK_POSTGRES=local
start_server
"${mode}_mode"
exit $failed
