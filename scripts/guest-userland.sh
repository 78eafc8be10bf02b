#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# guest-userland.sh
#
# Makes guest-files/userland/ (or that of $MEMVISOR_GUEST_FILES): Debian's arm64
# programs that tests run in guests and under qemu-aarch64-static, unpacked as
# they would be installed, with all that they depend on.  What is there already
# stays.
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/debian-packages.sh"

packages='bash coreutils python3-minimal perl-base openssl sqlite3 zstd tcc libc6-dev stress-ng'

by_hand()
{
    cat >&2 <<END
guest-userland.sh: $1.
  To go on without it, unpack these packages of Debian 12 for arm64, and what they
  depend on, in $guest_files/userland:
    $packages
END
    exit 1
}

# The packages' scripts do not run, so what they would link stands here.  Links
# become relative, so that they lead to the same files wherever the tree stands.
finish()
{
    local link
    rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale "$1"/usr/share/info \
        "$1"/usr/share/i18n "$1"/var/cache
    find "$1" -type l -lname '/*' | while read -r link; do
        ln -sfr "$1$(readlink "$link")" "$link"
    done
    ln -sf python3.11 "$1/usr/bin/python3"
}

[ ! -e "$guest_files/userland/bin/bash" ] || exit 0
mkdir -p "$guest_files" 2>/dev/null && [ -w "$guest_files" ] ||
    die "cannot write to $guest_files: set MEMVISOR_GUEST_FILES to a folder that you can write to"
guest_files=$(cd "$guest_files" && pwd)

exec 9>"$guest_files/.lock-userland"
flock 9
[ ! -e "$guest_files/userland/bin/bash" ] || exit 0
work=$(mktemp -d "$guest_files/.userland.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

open_apt "$work/apt" deb arm64
say "fetching $packages"
# shellcheck disable=SC2086 # a word each
apt-get -c "$work/apt/apt.conf" -q -y -o Debug::NoLocking=1 --no-install-recommends \
    --download-only install $packages >"$work/log" 2>&1 || {
    tail -n 5 "$work/log" >&2
    by_hand "cannot fetch Debian's packages for arm64"
}
mkdir "$work/userland"
for deb in "$work"/apt/cache/archives/*.deb; do
    dpkg-deb -x "$deb" "$work/userland"
done
finish "$work/userland"
rm -rf "$guest_files/userland"
mv "$work/userland" "$guest_files/userland"
say "Debian's programs are in $guest_files/userland ($(du -sh "$guest_files/userland" | cut -f1))"
