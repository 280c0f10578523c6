# shellcheck shell=bash
# What the scripts that make Docker images from Debian packages share; read by them, not run.

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "error: $1"
    shift
    for hint; do say "  $hint"; done
    exit 1
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo -- "$@"; fi
}

need_docker() {
    local reason
    command -v docker >/dev/null ||
        fail "Docker is not installed" "install it (package docker.io), or use a PostgreSQL server of the machine"
    reason=$(docker version --format '{{.Server.Version}}' 2>&1) ||
        fail "Docker does not answer: ${reason##*$'\n'}" "start it, or let this user use it (group docker)"
}

need_mmdebstrap() {
    if command -v mmdebstrap >/dev/null; then return; fi
    command -v apt-get >/dev/null ||
        fail "mmdebstrap is not installed, and this system has no apt-get to install it with" \
            "run this on Debian or Ubuntu, or pull the official image: docker pull postgres:18"
    if [[ $(id -u) != 0 ]] && ! command -v sudo >/dev/null; then
        fail "mmdebstrap is not installed" "as root: apt-get install mmdebstrap debian-archive-keyring uidmap"
    fi
    say "installing mmdebstrap …"
    as_root apt-get update -qq >&2 || say "apt-get update failed; trying with the package lists of before"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        mmdebstrap debian-archive-keyring uidmap >&2 ||
        fail "mmdebstrap could not be installed (see above)" "install it, then run this again"
}

# Makes a root file system of the Debian release $1 an image, and prints its number. Further arguments
# go to mmdebstrap.
import_packages() {
    local suite=$1 id
    shift
    # The number is only told once it is whole: a stream cut short imports without a complaint.
    id=$(mmdebstrap \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$@" "$suite" - | docker import -) || {
        if [[ -n ${id-} ]]; then docker rmi "$id" >/dev/null 2>&1 || true; fi
        fail "the image could not be made (see above)" \
            "mmdebstrap needs Debian's mirror (or a proxy that apt knows) and 3 GB under ${TMPDIR:-/tmp}" \
            "if it says that it lacks rights, run this as root"
    }
    printf '%s\n' "$id"
}

image_exists() { docker image inspect "$1" >/dev/null 2>&1; }
