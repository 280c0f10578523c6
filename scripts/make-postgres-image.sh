#!/bin/bash
# Makes local/postgres:MAJOR from Debian's packages, for machines that cannot pull the official
# image. It takes what `docker run postgres:MAJOR` takes; see postgres-entrypoint.sh.
set -Eeuo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/image-helpers.sh
. "$here/image-helpers.sh"

usage() {
    cat <<'END'
usage: scripts/make-postgres-image.sh [--force] MAJOR…

Makes the Docker image local/postgres:MAJOR from Debian packages; MAJOR is 15, 17 or 18.
An image that is already there is left alone, unless --force is given.
Needs Docker, and mmdebstrap (installed through apt-get where it is missing).
END
}

# The Debian release that carries a major version of PostgreSQL.
suite_of() {
    case $1 in
    15) echo bookworm ;;
    17) echo trixie ;;
    18) echo forky ;;
    *) return 1 ;;
    esac
}

make_image() {
    local major=$1 image=local/postgres:$1 suite pgdata id started=$SECONDS
    suite=$(suite_of "$major")
    if [[ $major -ge 18 ]]; then pgdata=/var/lib/postgresql/$major/docker; else pgdata=/var/lib/postgresql/data; fi
    say "making $image from Debian $suite (a minute or two) …"

    # Hooks are shell of their own, with the root of the image as $1.
    # shellcheck disable=SC2016
    local options=(
        --variant=apt
        --include="postgresql-$major,libnss-wrapper"
        # No cluster in the image: the entrypoint makes one, with the password of its user.
        --essential-hook='mkdir -p "$1/etc/postgresql-common"'
        --essential-hook='echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"'
    )
    if [[ $suite == forky ]]; then
        # A release in the making renews its index each week, and a mirror that is frozen at a date
        # then has an expired one. Signatures are checked all the same.
        options+=(--aptopt='Acquire::Check-Valid-Until "false"')
    fi

    id=$(import_packages "$suite" "${options[@]}")
    docker tag "$id" "$image-packages"
    # `docker import` could set all of this but the STOPSIGNAL.
    docker build -q -t "$image" -f - "$here" >/dev/null <<END || fail "$image could not be made (see above)"
FROM $image-packages
ENV PATH=/usr/lib/postgresql/$major/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    PGDATA=$pgdata PG_MAJOR=$major LANG=C.UTF-8
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
# \`docker run --user N\` has to be able to put its socket and its data there.
RUN install -d -m 1777 /run/postgresql $pgdata && install -d -m 755 /docker-entrypoint-initdb.d
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
END
    docker rmi "$image-packages" >/dev/null
    say "made $image: $(docker run --rm --network none "$image" postgres --version), $((SECONDS - started)) s"
}

force=
majors=()
for argument; do
    case $argument in
    -h | --help)
        usage
        exit 0
        ;;
    --force) force=1 ;;
    *)
        suite_of "$argument" >/dev/null || {
            say "error: no PostgreSQL that this script can make: $argument"
            usage >&2
            exit 2
        }
        majors+=("$argument")
        ;;
    esac
done
if [[ ${#majors[@]} == 0 ]]; then
    usage >&2
    exit 2
fi

need_docker
for major in "${majors[@]}"; do
    if [[ -z $force ]] && image_exists "local/postgres:$major"; then
        say "local/postgres:$major is there"
        continue
    fi
    need_mmdebstrap
    make_image "$major"
done
