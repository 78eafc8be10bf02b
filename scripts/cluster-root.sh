#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# cluster-root.sh
#
# Makes guest-files/cluster/ (or that of $MEMVISOR_GUEST_FILES): a small Debian of
# this host's architecture with corosync and Pacemaker, which the tests of the
# resource agent run in namespaces.  Unpacked and not installed, so that neither
# runs on this host.  What is there already stays.
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/debian-packages.sh"

packages='pacemaker corosync pacemaker-cli-utils bash dash coreutils util-linux findutils grep sed
    gawk mawk hostname procps iproute2 diffutils python3-minimal socat
    libfdt1 libjansson4 libnuma1 libxxhash0 libzstd1 zlib1g libgnutls30 libnbd0 libedit2 libasan8 libubsan1 libtsan2'

by_hand()
{
    cat >&2 <<END
cluster-root.sh: $1.
  To go on without it, unpack these packages of Debian 12, and what they depend on, in
  $guest_files/cluster:
    $packages
END
    exit 1
}

# The packages' scripts do not run, so what they would make stands here.
finish()
{
    local root=$1
    rm -rf "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/locale \
        "$root"/usr/share/info "$root"/usr/share/i18n "$root"/var/cache
    ln -sf mawk "$root/usr/bin/awk"
    [ -e "$root/usr/bin/python3" ] || ln -sf python3.11 "$root/usr/bin/python3"
    cat >"$root/etc/passwd" <<END
root:x:0:0:root:/root:/bin/bash
hacluster:x:100:100::/var/lib/pacemaker:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
END
    printf 'root:x:0:\nhaclient:x:100:\nnogroup:x:65534:\n' >"$root/etc/group"
    printf 'passwd: files\ngroup: files\nhosts: files\n' >"$root/etc/nsswitch.conf"
    # The loader finds Debian's folders without its cache, too, which takes root to make.
    /sbin/ldconfig -r "$root" 2>/dev/null || true
}

[ ! -e "$guest_files/cluster/etc/passwd" ] || exit 0
mkdir -p "$guest_files" 2>/dev/null && [ -w "$guest_files" ] ||
    die "cannot write to $guest_files: set MEMVISOR_GUEST_FILES to a folder that you can write to"
guest_files=$(cd "$guest_files" && pwd)

exec 9>"$guest_files/.lock-cluster"
flock 9
[ ! -e "$guest_files/cluster/etc/passwd" ] || exit 0
work=$(mktemp -d "$guest_files/.cluster.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

open_apt "$work/apt" deb "$(dpkg --print-architecture)"
say "fetching corosync and Pacemaker"
# shellcheck disable=SC2086 # a word each
apt-get -c "$work/apt/apt.conf" -q -y -o Debug::NoLocking=1 --no-install-recommends \
    --download-only install $packages >"$work/log" 2>&1 || {
    tail -n 5 "$work/log" >&2
    by_hand "cannot fetch Debian's packages"
}
mkdir "$work/cluster"
for deb in "$work"/apt/cache/archives/*.deb; do
    dpkg-deb -x "$deb" "$work/cluster"
done
finish "$work/cluster"
rm -rf "$guest_files/cluster"
mv "$work/cluster" "$guest_files/cluster"
say "a Debian with Pacemaker is in $guest_files/cluster ($(du -sh "$guest_files/cluster" | cut -f1))"
