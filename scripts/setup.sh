#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh [build|run|check|bench|deb]
#
# Installs the Debian packages that the purpose needs and that are missing.
# Asks dpkg first, so that nothing is fetched when all is there; on a system
# without dpkg the commands themselves are what counts.
#
# Says what it will install, and what is fetched after it, before it does.
# Whatever is in the way of the purpose (packages that cannot be installed, guest
# files that cannot be fetched, no room on a disk, a python without pytest) is
# told at once, all together, each with what to do (setup-problems.sh).
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/debian-packages.sh"
. "$(dirname "$0")/setup-problems.sh"

# purpose | package | what shows that it is there on a system without dpkg:
# commands, /files or <headers>, any one of them.
needs='
build | gcc                      | gcc cc
build | libc6-dev                | <stdio.h>
build | make                     | make
build | meson                    | meson
build | ninja-build              | ninja
build | pkg-config               | pkg-config pkgconf
build | libfdt-dev               | <libfdt.h>
build | libedit-dev              | <histedit.h>
build | libgnutls28-dev          | <gnutls/gnutls.h>
build | libjansson-dev           | <jansson.h>
build | libnbd-dev               | <libnbd.h>
build | libnuma-dev              | <numa.h>
build | libxxhash-dev            | <xxhash.h>
build | libzstd-dev              | <zstd.h>
build | zlib1g-dev               | <zlib.h>
files | cpio                     | cpio
files | debian-archive-keyring   | /usr/share/keyrings/debian-archive-keyring.gpg
check | clang                    | clang
check | device-tree-compiler     | dtc
check | dpkg-dev                 | dpkg-source
check | gcc-aarch64-linux-gnu    | aarch64-linux-gnu-gcc
check | gdb-multiarch            | gdb-multiarch
check | libc6-dev-arm64-cross    | /usr/aarch64-linux-gnu/include/stdio.h
check | libclang-rt-14-dev       | /usr/lib*/llvm*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a /usr/lib*/clang/*/lib/linux/libclang_rt.fuzzer-*.a
check | libcmocka-dev            | <cmocka.h>
check | libglib2.0-dev           | /usr/include/glib-2.0/glib.h
check | lldb                     | lldb
check | libnbd-bin               | nbdcopy
check | mandoc                   | mandoc
check | nbdkit                   | nbdkit
check | openssl                  | openssl
check | procps                   | pgrep
check | python3-pexpect          | /usr/lib/python3/dist-packages/pexpect
check | python3-pyelftools       | /usr/lib/python3/dist-packages/elftools
check | python3-pytest           | /usr/lib/python3/dist-packages/pytest
check | python3-pytest-xdist     | /usr/lib/python3/dist-packages/xdist
check | qemu-system-arm          | qemu-system-aarch64
check | qemu-system-x86          | qemu-system-x86_64
check | qemu-user-static         | qemu-aarch64-static
check | qemu-utils               | qemu-nbd
check | shellcheck               | shellcheck
check | socat                    | socat
check | systemd                  | systemd-analyze
check | xfsprogs                 | /usr/sbin/mkfs.xfs
check | xz-utils                 | xz
check | zstd                     | zstd
deb   | build-essential          | g++
deb   | debhelper                | dh
deb   | dpkg-dev                 | dpkg-buildpackage
deb   | lintian                  | lintian
long  | build-essential          | g++
long  | debhelper                | dh
long  | fakeroot                 | fakeroot
long  | iproute2                 | ip
long  | lintian                  | lintian
bench | gcc-aarch64-linux-gnu    | aarch64-linux-gnu-gcc
bench | libglib2.0-dev           | /usr/include/glib-2.0/glib.h
bench | python3                  | python3
bench | python3-pexpect          | /usr/lib/python3/dist-packages/pexpect
bench | qemu-system-arm          | qemu-system-aarch64
'

# purpose | guest file, made last of its kind | MiB to fetch | MiB it takes meanwhile
# The scripts guest-files.sh and its kin make them.
guest_needs='
files   | vmlinuz              | 38  | 70
headers | headers/build        | 23  | 100
check   | amd64/vmlinuz        | 38  | 70
check   | amd64/headers/build  | 23  | 100
check   | newer/vmlinuz        | 38  | 70
check   | userland/bin/bash    | 45  | 160
check   | qemu/ivshmem-server  | 131 | 900
long    | cluster/etc/passwd   | 80  | 500
'
build_mib=100    # a build folder
check_mib=1000   # what tests make in /tmp, and more build folders of theirs

purpose=${1:-build}
case $purpose in
build) groups='build' ;;
run) groups='build files' ;;
check)
    groups='build files headers check' build_mib=$((build_mib + check_mib))
    [ -z "${MEMVISOR_LONG:-}" ] || groups="$groups long"
    ;;
bench) groups='build files headers bench' ;;
deb) groups='build deb' build_mib=$((2 * build_mib)) ;;
*)
    printf 'setup.sh: %s is no purpose: it is one of build, run, check, bench, deb\n' "$purpose" >&2
    exit 2
    ;;
esac

# Whether one of the purpose's groups is $1.
wanted()
{
    case " $groups " in
    *" ${1:-none} "*) return 0 ;;
    esac
    return 1
}

installed()
{
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Whether any of the signs $1 is there.
present()
{
    local sign
    for sign in $1; do
        case $sign in
        /*) [ ! -e "$sign" ] || return 0 ;;
        '<'*) ! printf '#include %s\n' "$sign" | ${CC:-cc} -E - >/dev/null 2>&1 || return 0 ;;
        *) ! have "$sign" || return 0 ;;
        esac
    done
    return 1
}

# Sets missing to the packages of the purpose for which test $1 fails.
list_missing()
{
    local group package signs
    missing=
    while IFS='|' read -r group package signs; do
        package=${package// /}
        wanted "${group// /}" || continue
        if [ "$1" = dpkg ]; then
            installed "$package" || missing="$missing $package"
        else
            present "$signs" || missing="$missing $package"
        fi
    done <<<"$needs"
    missing=${missing# }
}

# Sets files to the guest files of the purpose that are missing, fetch_mib and
# files_mib to what they cost.
list_files()
{
    local group file fetch takes
    files= fetch_mib=0 files_mib=0
    while IFS='|' read -r group file fetch takes; do
        file=${file// /}
        wanted "${group// /}" && [ ! -e "$guest_files/$file" ] || continue
        files="$files $file"
        fetch_mib=$((fetch_mib + fetch))
        files_mib=$((files_mib + takes))
    done <<<"$guest_needs"
    files=${files# }
}

# Sets root to what makes a command root's.
find_root()
{
    root=env
    if ! have dpkg-query; then
        packages_problem "no dpkg here, so no package can be installed"
    elif ! have apt-get; then
        packages_problem "apt-get is missing"
    elif [ "$(id -u)" != 0 ]; then
        root="sudo env"
        list_missing signs
        [ -n "$missing" ] || return 0
        list_missing dpkg
        if ! have sudo; then
            packages_problem "not root, and there is no sudo"
        elif ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
            # Without a terminal nobody can type a password.
            packages_problem "sudo wants a password and there is no terminal"
        fi
    fi
}

# Says what apt-get would do, in its own words; sets packages_mib to what that
# takes.
say_plan()
{
    local plan
    # shellcheck disable=SC2086 # a word each
    plan=$(LC_ALL=C apt-get -q -y -o Debug::NoLocking=1 --no-install-recommends --print-uris \
        install $missing 2>&1) || {
        printf '%s\n' "$plan" | grep '^E:' | head -n 3 >&2 || true
        return 1
    }
    say "installing for $purpose: $missing"
    plan=$(printf '%s\n' "$plan" | grep -E ' newly installed|^Need to get|^After this operation' || true)
    [ -z "$plan" ] || printf '%s\n' "$plan" | sed 's/^/   /'
    packages_mib=$(printf '%s\n' "$plan" | tr -d , | sed 's,/[0-9.]* [kMG]*B , ,' | awk '
        function mib(n, unit) { return unit == "GB" ? n * 1000 : unit == "MB" ? n : 1 }
        /^Need to get/ { sum += mib($4, $5) }
        /^After this operation.* used/ { sum += mib($4, $5) }
        END { print int(sum) }')
}

install()
{
    # shellcheck disable=SC2086 # words
    $root DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing
}

packages_mib=0
list_files
if have dpkg-query; then list_missing dpkg; else list_missing signs; fi
[ -n "$missing" ] || check_python
[ -z "$missing" ] || find_root
[ -z "$files" ] || check_files_tools

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ -n "$missing" ]; then
    say "apt-get update"
    $root apt-get -q update >"$log" 2>&1 || tail -n 3 "$log" >&2
    say_plan || packages_problem "apt-get knows no way to install them (no network?)"
fi
[ -z "$files" ] || probe_mirrors
check_room
tell_problems

[ -z "$files$missing" ] || say_what_follows
[ -n "$missing" ] || exit 0
say "apt-get install"
if ! install >"$log" 2>&1; then
    grep '^E:' "$log" >&2 || tail -n 5 "$log" >&2
    packages_problem "apt-get could not install them (no network?)"
    tell_problems
fi
check_python
tell_problems
