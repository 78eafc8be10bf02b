# SPDX-License-Identifier: Apache-2.0
# What the scripts share: where the repository is, how they speak, where the
# guest's files are.  Sourced, never run.

top=$(cd "$(dirname "$0")/.." && pwd)
guest_files=${MEMVISOR_GUEST_FILES:-$top/guest-files}

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
