#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh [build|run|check|bench]
#
# Installs the Debian packages that the purpose needs and that are missing.
# Asks dpkg first, so that nothing is fetched when all is there; on a system
# without dpkg the commands themselves are what counts.  Where packages cannot
# be installed it says which ones to install by hand.
set -eu
. "$(dirname "$0")/common.sh"

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
build | libjansson-dev           | <jansson.h>
build | libnuma-dev              | <numa.h>
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
check | libnbd-bin               | nbdcopy
check | mandoc                   | mandoc
check | nbdkit                   | nbdkit
check | openssl                  | openssl
check | procps                   | pgrep
check | python3-pexpect          | /usr/lib/python3/dist-packages/pexpect
check | python3-pytest           | /usr/lib/python3/dist-packages/pytest
check | qemu-system-arm          | qemu-system-aarch64
check | qemu-system-x86          | qemu-system-x86_64
check | qemu-user-static         | qemu-aarch64-static
check | socat                    | socat
check | xz-utils                 | xz
bench | gcc-aarch64-linux-gnu    | aarch64-linux-gnu-gcc
bench | libglib2.0-dev           | /usr/include/glib-2.0/glib.h
bench | python3                  | python3
bench | python3-pexpect          | /usr/lib/python3/dist-packages/pexpect
bench | qemu-system-arm          | qemu-system-aarch64
'

purpose=${1:-build}
case $purpose in
build) groups='build' ;;
run) groups='build files' ;;
check) groups='build files check' ;;
bench) groups='build files bench' ;;
*)
    printf 'setup.sh: %s is no purpose: it is one of build, run, check, bench\n' "$purpose" >&2
    exit 2
    ;;
esac

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
        group=${group// /}
        package=${package// /}
        case " $groups " in
        *" ${group:-none} "*) ;;
        *) continue ;;
        esac
        if [ "$1" = dpkg ]; then
            installed "$package" || missing="$missing $package"
        else
            present "$signs" || missing="$missing $package"
        fi
    done <<<"$needs"
    missing=${missing# }
}

# Goes on if the tools are there although the packages are not; else says what
# to do and ends.
cannot_install()
{
    local wanted=$missing
    list_missing signs
    if [ -z "$missing" ]; then
        say "$1, but all that $purpose needs is here"
        exit 0
    fi
    printf 'setup.sh: %s. Install by hand, then try again:\n' "$1" >&2
    if have apt-get; then
        printf '  apt-get install %s\n' "$wanted" >&2
    else
        printf '  what these Debian packages hold: %s\n' "$missing" >&2
    fi
    exit 1
}

if ! have dpkg-query; then
    list_missing signs
    [ -n "$missing" ] || exit 0
    cannot_install "no dpkg here, so no package can be installed"
fi
list_missing dpkg
[ -n "$missing" ] || exit 0
have apt-get || cannot_install "apt-get is missing"

root=
if [ "$(id -u)" != 0 ]; then
    list_missing signs
    [ -n "$missing" ] || exit 0
    list_missing dpkg
    have sudo || cannot_install "not root, and there is no sudo"
    # Without a terminal nobody can type a password.
    if ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
        cannot_install "sudo wants a password and there is no terminal"
    fi
    root="sudo env"
fi

say "installing for $purpose: $missing"
export DEBIAN_FRONTEND=noninteractive
install()
{
    ${root:-env} DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "apt-get update"
${root:-env} apt-get -q update >"$log" 2>&1 || tail -n 3 "$log" >&2
say "apt-get install"
if ! install >"$log" 2>&1; then
    grep '^E:' "$log" >&2 || tail -n 5 "$log" >&2
    cannot_install "apt-get could not install them (no network?)"
fi
