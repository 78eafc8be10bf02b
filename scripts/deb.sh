#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# deb.sh [BUILD]
#
# Builds the Debian packages of this tree, as it is, in BUILD/deb, from a copy: what
# Debian's tools leave behind is not to be among the sources.  Needs no root.
set -eu
. "$(dirname "$0")/common.sh"

mkdir -p "${1:-build}"
out=$(cd "${1:-build}" && pwd)/deb
cd "$top"
version=$(sed -n "s/^project(.*, version: '\([^']*\)'.*/\1/p" meson.build)
tree=$out/memvisor-$version

# The files of the tree: git knows them, and in an unpacked archive all are its own.
list_files()
{
    git ls-files -z --cached --others --exclude-standard 2>/dev/null ||
        find . -mindepth 1 \( -path './build*' -o -path ./guest-files -o -name __pycache__ \) -prune \
            -o ! -type d -print0
}

rm -rf "$out"
mkdir -p "$tree"
list_files | tar -c --null --ignore-failed-read -T - | tar -x -C "$tree"
mv "$tree/packaging/debian" "$tree/debian"
say "building the packages in $out"
(cd "$tree" && DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-parallel=$(nproc)}" \
    dpkg-buildpackage --unsigned-source --unsigned-changes --build=binary) >"$out/log" 2>&1 || {
    tail -n 30 "$out/log" >&2
    die "the packages cannot be built: all that was said is in $out/log"
}
rm -rf "$tree"
say "asking lintian"
lintian --allow-root --fail-on error --tag-display-limit 0 "$out"/*.changes
ls -1 "$out"/*.deb
