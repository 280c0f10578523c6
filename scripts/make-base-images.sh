#!/bin/bash
# Makes the base images of the Dockerfile from Debian packages and this machine's Rust toolchain, for
# machines that cannot pull the official ones. Prints the arguments to build with.
set -Eeuo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/image-helpers.sh
. "$here/image-helpers.sh"

build_image=local/rust:bookworm
runtime_image=local/debian:bookworm-slim

usage() {
    cat <<END
usage: scripts/make-base-images.sh [--force]

Makes the Docker images $build_image (this machine's Rust toolchain and a C linker; it trusts the
certificates that this machine trusts) and $runtime_image. What is already there is left alone,
unless --force is given. Needs Docker, Rust, and mmdebstrap (installed through apt-get if missing).
END
}

force=
for argument; do
    case $argument in
    -h | --help)
        usage
        exit 0
        ;;
    --force) force=1 ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done

need_docker
if [[ -n $force ]] || ! image_exists "$build_image"; then
    command -v rustc >/dev/null || fail "rustc is not on PATH" "install Rust: it is put into the image"
    need_mmdebstrap
    XTASK_SYSROOT=$(rustc --print sysroot)
    XTASK_CERTIFICATES=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
    export XTASK_SYSROOT XTASK_CERTIFICATES
    say "making $build_image with $(rustc --version) (a minute or two) …"
    # Behind a company's proxy the registry shows a certificate that only this machine's bundle knows.
    # Hooks are shell of their own, with the root of the image as $1.
    # shellcheck disable=SC2016
    id=$(import_packages bookworm --variant=minbase --include=ca-certificates,gcc,libc6-dev \
        --customize-hook='tar -C "$XTASK_SYSROOT" --exclude=./share/doc --owner=0 --group=0 -c . | tar -C "$1/usr/local" -x' \
        --customize-hook='if [ -r "$XTASK_CERTIFICATES" ]; then cp "$XTASK_CERTIFICATES" "$1/etc/ssl/certs/ca-certificates.crt"; fi')
    docker tag "$id" "$build_image"
fi
if [[ -n $force ]] || ! image_exists "$runtime_image"; then
    need_mmdebstrap
    say "making $runtime_image …"
    # Without apt, which nobody calls there, and without all of Perl, which usrmerge needs for a moment.
    # shellcheck disable=SC2016
    id=$(import_packages bookworm --variant=essential --include=passwd,usr-is-merged \
        --customize-hook='chroot "$1" dpkg --purge usrmerge perl perl-modules-5.36 libperl5.36 \
            libfile-find-rule-perl libnumber-compare-perl libtext-glob-perl')
    docker tag "$id" "$runtime_image"
fi
say "there are $build_image and $runtime_image; build with:"
printf '%s\n' "--build-arg BUILD_IMAGE=$build_image --build-arg RUNTIME_IMAGE=$runtime_image"
