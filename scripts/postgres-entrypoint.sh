#!/bin/bash
# Entrypoint of the images that make-postgres-image.sh makes. It keeps the contract of the official
# `postgres` image, so that the same compose file and the same tests run on either of them:
#
#   POSTGRES_PASSWORD          password of the superuser, required on the first start
#   POSTGRES_USER              its name, default postgres
#   POSTGRES_DB                database made on the first start, default the name of the user
#   POSTGRES_HOST_AUTH_METHOD  how clients over TCP prove who they are, default scram-sha-256
#   POSTGRES_INITDB_ARGS       further arguments of initdb
#   PGDATA                     where the data is
#
# Of the first three and POSTGRES_INITDB_ARGS there is a form NAME_FILE that names a file to read.
set -Eeuo pipefail

fail() {
    printf 'postgres-entrypoint: %s\n' "$*" >&2
    exit 1
}

# Sets the variable $1 from itself, from the file that $1_FILE names, or to the default $2.
from_environment() {
    local name=$1 default=${2-} file_name=${1}_FILE
    if [[ -n ${!name-} && -n ${!file_name-} ]]; then
        fail "both $name and $file_name are set; set one of them"
    elif [[ -n ${!file_name-} ]]; then
        printf -v "$name" '%s' "$(<"${!file_name}")"
    elif [[ -z ${!name-} ]]; then
        printf -v "$name" '%s' "$default"
    fi
    unset "$file_name"
}

# PostgreSQL looks its own user up by number, and `docker run --user 1000` gives it a number that
# /etc/passwd has never heard of.
name_this_user() {
    if getent passwd "$(id -u)" >/dev/null; then return; fi
    local wrapper
    for wrapper in /usr/lib/*/libnss_wrapper.so; do
        [[ -e $wrapper ]] || continue
        NSS_WRAPPER_PASSWD=$(mktemp)
        NSS_WRAPPER_GROUP=$(mktemp)
        printf 'postgres:x:%s:%s:PostgreSQL:%s:/bin/false\n' "$(id -u)" "$(id -g)" "$PGDATA" >"$NSS_WRAPPER_PASSWD"
        printf 'postgres:x:%s:\n' "$(id -g)" >"$NSS_WRAPPER_GROUP"
        export LD_PRELOAD=$wrapper NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
        return
    done
}

forget_this_user() {
    [[ -n ${NSS_WRAPPER_PASSWD-} ]] || return 0
    rm -f "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"
    unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
}

make_cluster() {
    from_environment POSTGRES_PASSWORD
    from_environment POSTGRES_USER postgres
    from_environment POSTGRES_DB "$POSTGRES_USER"
    from_environment POSTGRES_INITDB_ARGS
    local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [[ -z $POSTGRES_PASSWORD && $method != trust ]]; then
        fail "the database is new and its superuser has no password: set POSTGRES_PASSWORD"
    fi
    # The server itself has no use for it, and its environment can be read through /proc.
    export -n POSTGRES_PASSWORD

    name_this_user
    local options=(--username="$POSTGRES_USER" --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8)
    # Split on purpose: it is a list of arguments.
    # shellcheck disable=SC2206
    options+=($POSTGRES_INITDB_ARGS)
    if [[ -n $POSTGRES_PASSWORD ]]; then
        initdb -D "$PGDATA" "${options[@]}" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD")
    else
        initdb -D "$PGDATA" "${options[@]}" --auth-host=trust
    fi
    forget_this_user
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# Runs what has to happen once, on a server that nobody can reach over the network: a client that
# gets through over TCP therefore meets a finished database.
initialise() {
    export PGHOST=/var/run/postgresql PGUSER=$POSTGRES_USER PGDATABASE=$POSTGRES_DB
    unset PGHOSTADDR PGPASSWORD
    if [[ ${1-} == postgres ]]; then shift; fi
    pg_ctl -D "$PGDATA" -w -o "$(printf '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}")" start

    if [[ $POSTGRES_DB != postgres ]]; then
        psql -Xq --no-password --dbname=postgres -v ON_ERROR_STOP=1 -v name="$POSTGRES_DB" \
            <<<'CREATE DATABASE :"name";'
    fi
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
        *.sh)
            if [[ -x $file ]]; then
                "$file"
            else
                # shellcheck source=/dev/null
                . "$file"
            fi
            ;;
        *.sql) psql -X --no-password -v ON_ERROR_STOP=1 -f "$file" ;;
        *.sql.gz) gunzip -c "$file" | psql -X --no-password -v ON_ERROR_STOP=1 ;;
        esac
    done

    pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGHOST PGUSER PGDATABASE
}

# `docker run IMAGE -c fsync=off` means `docker run IMAGE postgres -c fsync=off`.
if [[ $# -eq 0 || $1 == -* ]]; then set -- postgres "$@"; fi
if [[ $1 != postgres ]]; then exec "$@"; fi

if [[ $(id -u) == 0 ]]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    find "$PGDATA" \! -user postgres -exec chown postgres {} +
    chown postgres:postgres /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "${BASH_SOURCE[0]}" "$@"
fi
mkdir -p "$PGDATA"

case " $* " in *" --help "* | *" --version "* | *" -V "* | *" -? "* | *" --describe-config "* | *" -C "*) exec "$@" ;; esac

if [[ ! -s $PGDATA/PG_VERSION ]]; then
    make_cluster
    initialise "$@"
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
fi
unset POSTGRES_PASSWORD
shift
# First, so that a listen_addresses among the arguments wins.
exec postgres -c listen_addresses='*' "$@"
