# SPDX-License-Identifier: Apache-2.0
# What the scripts share: where the repository is, how they speak, where the
# guest's files are.  Sourced, never run.

top=$(cd "$(dirname "$0")/.." && pwd)
guest_files=${MEMVISOR_GUEST_FILES:-$top/guest-files}
check_minutes=10 # that every test takes, on two free processors

say()
{
    printf '== %s\n' "$*"
}

die()
{
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

have()
{
    command -v "$1" >/dev/null 2>&1
}

# Prints the python3 that sees what the tests need: their packages are Debian's,
# which another one in PATH cannot see.  Nothing where there is none.
find_python()
{
    local python
    for python in /usr/bin/python3 python3; do
        if $python -c 'import pytest, pexpect, xdist' 2>/dev/null; then
            echo $python
            return
        fi
    done
}
