#!/bin/sh
# Installs what the tests need and this machine lacks: cargo-deny, PgBouncer, Chromium, where Docker answers a
# program that reads compose files, and where none does a PostgreSQL server. (mmdebstrap is
# installed by the scripts that make images when it is needed.)
set -eu

has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi
}

# initdb is not on the PATH of every packaging.
has_postgres() {
    has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

# For what deny.toml says. Not optimised: it runs for a second, and compiles in a third of the time.
if has cargo && ! cargo deny --version >/dev/null 2>&1; then
    echo "installing: cargo-deny (a few minutes)" >&2
    cargo install --quiet --locked --debug cargo-deny >&2 ||
        echo "cargo-deny cannot be installed: dependencies are not checked" >&2
fi

packages=
has pgbouncer || packages=pgbouncer
if has apt-get && ! { has chromium && has chromedriver; }; then
    packages="$packages chromium chromium-driver"
fi
if docker version >/dev/null 2>&1; then
    if ! docker compose version >/dev/null 2>&1 && ! has docker-compose; then
        packages="$packages docker-compose"
    fi
elif ! has_postgres; then
    if has dnf; then
        packages="$packages postgresql-server postgresql-contrib"
    elif has brew; then
        packages="$packages postgresql@18"
    else
        packages="$packages postgresql"
    fi
fi
if [ -z "$packages" ]; then
    exit 0
fi

echo "installing: $packages" >&2
# Split on purpose: it is a list of packages.
# shellcheck disable=SC2086
if has apt-get; then
    as_root apt-get update -qq >&2 || echo "apt-get update failed; trying with the package lists of before" >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >&2
elif has dnf; then
    as_root dnf install -q -y $packages >&2
elif has brew; then
    brew install --quiet $packages >&2
else
    echo "error: none of apt-get, dnf and brew is here; install: $packages" >&2
    exit 1
fi

# The tests start one of their own; packages start one for the whole machine.
if has systemctl && [ -d /run/systemd/system ]; then
    as_root systemctl disable --quiet --now pgbouncer 2>/dev/null || true
fi
