#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# guest-headers.sh [arm64|amd64]
#
# Makes headers/ beside the guest's kernel in guest-files/ or guest-files/amd64/
# (guest-files.sh): what modules for that kernel are built with, from Debian's
# packages of exactly its version.  headers/build is the folder for `make -C`,
# with ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- or ARCH=x86_64
# CROSS_COMPILE=x86_64-linux-gnu-.  What is there already stays.
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/debian-packages.sh"

arch=${1:-arm64}
[ "$arch" = arm64 ] || guest_files=$guest_files/$arch

by_hand()
{
    cat >&2 <<END
guest-headers.sh: $1.
  To go on without it, put the headers of the kernel $release there by hand:
    $guest_files/headers/build   a folder that 'make -C' builds $arch modules in
END
    exit 1
}

# What the package $2 depends on by a name that has $3 in it.
dependency()
{
    apt-cache -c "$1/apt.conf" depends "$2" 2>/dev/null |
        awk -v part="$3" '$1 == "Depends:" && index($2, part) { print $2; exit }'
}

[ ! -e "$guest_files/headers/build" ] || exit 0

# The kernel's line is linux-image-RELEASE_VERSION_ARCH.deb.
kernel=$(sed -n "s/^linux-image-\(.*\)_$arch\.deb\$/\1/p" "$guest_files/versions" 2>/dev/null | head -n 1)
release=${kernel%_*} version=${kernel#*_}
[ -n "$kernel" ] || by_hand "$guest_files/versions does not say which kernel this is"
[ -w "$guest_files" ] ||
    die "cannot write to $guest_files: set MEMVISOR_GUEST_FILES to a folder that you can write to"

exec 9>"$guest_files/.lock"
flock 9
[ ! -e "$guest_files/headers/build" ] || exit 0
work=$(mktemp -d "$guest_files/.tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The build's own programs run here, so they come for this host.
host=$(dpkg --print-architecture)
apt=$work/apt
open_apt "$apt" deb "$arch" $([ "$host" = "$arch" ] || echo "$host")
package=linux-headers-$release
common=$(dependency "$apt" "$package" -common)
kbuild=$(dependency "$apt" "$package" linux-kbuild)
[ -n "$common" ] && [ -n "$kbuild" ] || by_hand "Debian's lists have no $package"
kbuild=${kbuild%:*}
for name in "$package" "$common" "$kbuild:$host"; do
    fetch "$apt" "$name" "$work/debs" "$work/headers"
done
grep -qF "${package}_${version}_" "$work/versions" ||
    by_hand "Debian has $package no longer in version $version: remove $guest_files for its present kernel"

# The Makefile includes the common headers by an absolute path.
sed -i "s,/usr/src/,../," "$work/headers/usr/src/$package/Makefile"
ln -s "usr/src/$package" "$work/headers/build"
rm -rf "$guest_files/headers"
mv "$work/headers" "$guest_files/headers"
say "the guest kernel's headers are in $guest_files/headers"
