#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# qemu-reference.sh
#
# Makes guest-files/qemu/ (or that of $MEMVISOR_GUEST_FILES): what the tests hold
# memvisor against and Debian ships as source alone, out of Debian's source
# package of QEMU: the ivshmem-server and ivshmem-client of its contrib/, built
# here, and the QMP client in Python below qemu/python.  What is there already
# stays.
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/debian-packages.sh"

by_hand()
{
    cat >&2 <<END
qemu-reference.sh: $1.
  To go on without it, put these there by hand, from QEMU 7.2's source:
    $guest_files/qemu/ivshmem-server  ivshmem-client   built from contrib/
    $guest_files/qemu/python                           the folder python/
END
    exit 1
}

fail_with_log()
{
    tail -n 15 "$2" >&2
    by_hand "$1"
}

# The mirrors' keyring has vouched for the source package by its list.
unpack()
{
    (cd "$work" && apt-get -c "$work/apt/apt.conf" -q source --download-only qemu >"$work/log" 2>&1) ||
        fail_with_log "cannot fetch Debian's source package qemu" "$work/log"
    mkdir "$work/source"
    tar -C "$work/source" --strip-components=1 -xf "$work"/qemu_*.orig.tar.*
}

build()
{
    mkdir "$work/build"
    (cd "$work/build" && ../source/configure --without-default-features --disable-system \
        --disable-user --enable-tools --disable-docs --disable-install-blobs \
        --meson=/usr/bin/meson >"$work/log" 2>&1) ||
        fail_with_log "cannot configure QEMU's tools" "$work/log"
    ninja -C "$work/build" contrib/ivshmem-server/ivshmem-server \
        contrib/ivshmem-client/ivshmem-client >"$work/log" 2>&1 ||
        fail_with_log "cannot build QEMU's ivshmem tools" "$work/log"
}

[ ! -e "$guest_files/qemu/ivshmem-server" ] || exit 0
mkdir -p "$guest_files" 2>/dev/null && [ -w "$guest_files" ] ||
    die "cannot write to $guest_files: set MEMVISOR_GUEST_FILES to a folder that you can write to"
guest_files=$(cd "$guest_files" && pwd)

exec 9>"$guest_files/.lock-qemu"
flock 9
[ ! -e "$guest_files/qemu/ivshmem-server" ] || exit 0
work=$(mktemp -d "$guest_files/.qemu.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

open_apt "$work/apt" deb-src "$(dpkg --print-architecture)"
say "fetching QEMU's source"
unpack
say "building QEMU's ivshmem-server and ivshmem-client (a minute)"
build
mkdir "$work/qemu"
cp "$work"/build/contrib/ivshmem-*/ivshmem-server "$work"/build/contrib/ivshmem-*/ivshmem-client \
    "$work/qemu"
cp -r "$work/source/python" "$work/qemu/python"
rm -rf "$guest_files/qemu"
mv "$work/qemu" "$guest_files/qemu"
say "QEMU's reference programs are in $guest_files/qemu"
