#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# initramfs.sh OUT INIT [FILE[:PATH]]...
#
# Writes OUT, a newc cpio archive that boots: busybox (from guest-files/), the
# script or program INIT as /init, and each FILE at PATH (/NAME when no PATH is
# given).  Needs no root: the one device node that /init wants before it mounts
# devtmpfs, /dev/console, is in the archive built into the kernel.  The same
# input gives the same bytes.
set -eu
. "$(dirname "$0")/common.sh"

[ $# -ge 2 ] || die "usage: initramfs.sh OUT INIT [FILE[:PATH]]..."
out=$1
init=$2
shift 2

have cpio || die "cpio is missing: install the package cpio"
[ -f "$init" ] || die "$init: no such file"
[ -s "$guest_files/busybox" ] || die "$guest_files/busybox is missing: run scripts/guest-files.sh"

tree=$(mktemp -d)
temp=
trap 'rm -rf "$tree" ${temp:+"$temp"}' EXIT
trap 'exit 1' HUP INT TERM

mkdir -p "$tree/bin" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/tmp" "$tree/run" "$tree/root"
install -m 755 "$guest_files/busybox" "$tree/bin/busybox"
# busybox's shell runs the other applets by itself.
ln -s busybox "$tree/bin/sh"
install -m 755 "$init" "$tree/init"

for extra in "$@"; do
    file=${extra%%:*}
    path=${extra#"$file"}
    path=${path#:}
    path=${path:-/$(basename "$file")}
    [ -f "$file" ] || die "$file: no such file"
    mkdir -p "$tree/$(dirname "$path")"
    cp -p "$file" "$tree/$path"
done

# Modes, owners, times and order are all that could differ from run to run.
chmod -R u+rwX,go+rX,go-w "$tree"
find "$tree" -exec touch -h -d @0 {} +
temp=$(mktemp "$out.XXXXXX")
(cd "$tree" && find . -mindepth 1 | LC_ALL=C sort |
    cpio --quiet -o -H newc --reproducible -R 0:0) >"$temp"
chmod 644 "$temp"
mv -f "$temp" "$out"
