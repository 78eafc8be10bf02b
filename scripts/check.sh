#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh [BUILD] [PYTEST-ARGUMENT]...
#
# Runs every test against the build in BUILD: what Meson knows (unit tests),
# then pytest's folders.  Runs both even when the first fails, so that one run
# tells all.  `make check` builds before it calls this.
set -u
. "$(dirname "$0")/common.sh"
cd "$top" || exit 1

build=${1:-build}
[ $# -eq 0 ] || shift
failed=

# The tests' packages are Debian's, which another python3 in PATH cannot see.
find_python()
{
    local python
    for python in /usr/bin/python3 python3; do
        if $python -c 'import pytest, pexpect' 2>/dev/null; then
            echo $python
            return
        fi
    done
}

# ThreadSanitizer of older compilers cannot place its shadow where the host
# randomizes addresses over many bits.
wrap=
case $build in
*tsan*) wrap="setarch -R" ;;
esac

say "unit tests"
$wrap meson test -C "$build" --no-rebuild --print-errorlogs \
    --timeout-multiplier "${MEMVISOR_SLOW:-1}" || failed="$failed unit"

python=$(find_python)
[ -n "$python" ] || die "no python3 with pytest and pexpect: run scripts/setup.sh check"
folders=
for folder in tests/house tests/vm tests/bare tests/interop tests/fuzz; do
    [ -z "$(find $folder -name 'test_*.py' 2>/dev/null)" ] || folders="$folders $folder"
done
for folder in $folders; do
    say "$folder"
    MEMVISOR=${MEMVISOR:-$top/$build/memvisor} $wrap $python -m pytest -p no:cacheprovider -ra \
        "$folder" "$@" || failed="$failed $folder"
done

if [ -n "$failed" ]; then
    say "FAILED:$failed"
    exit 1
fi
say "all tests passed"
