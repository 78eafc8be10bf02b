#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh [BUILD] [PYTEST-ARGUMENT]...
#
# Runs every test against the build in BUILD: what Meson knows (unit tests),
# then pytest's, those too when the first fail, so that one run tells all.  Ends
# with the names of those that failed and one line of counts (test-results.py);
# BUILD/test-results has the same for programs, in JUnit's format.  `make check`
# builds before it calls this.
#
# MEMVISOR_WORKERS says how many files of tests run at a time (default: two for
# each processor, since tests wait a good deal; 0: all in one process).
set -u
. "$(dirname "$0")/common.sh"
cd "$top" || exit 1

build=${1:-build}
[ $# -eq 0 ] || shift

# ThreadSanitizer of older compilers cannot place its shadow where the host
# randomizes addresses over many bits.
wrap=
case $build in
*tsan*) wrap="setarch -R" ;;
esac

build=$(cd "$build" && pwd) || exit 1
python=$(find_python)
[ -n "$python" ] || die "no python3 with pytest, pexpect and xdist: run scripts/setup.sh check"
results=$build/test-results
rm -rf "$results"
mkdir -p "$results"
codes=

say "every test: about $check_minutes minutes on two free processors"
say "unit tests"
rm -f "$build/meson-logs/testlog.junit.xml"
$wrap meson test -C "$build" --no-rebuild --print-errorlogs \
    --timeout-multiplier "$((5 * ${MEMVISOR_SLOW:-1}))"
codes="unit=$?"
cp "$build/meson-logs/testlog.junit.xml" "$results/unit.xml"

# Files of tests are shared out among the workers (pytest-xdist); those that have
# the machine to themselves run after them.
run_pytest()
{
    local turn=$1
    shift
    MEMVISOR=${MEMVISOR:-$build/memvisor} MEMVISOR_TURN=$turn $wrap $python -m pytest \
        -p no:cacheprovider -q -ra --continue-on-collection-errors \
        -o junit_family=xunit1 --junitxml="$results/$turn.xml" \
        tests/house tests/vm tests/bare tests/interop tests/fuzz "$@"
    codes="$codes $turn=$?"
}

workers=${MEMVISOR_WORKERS:-$((2 * $(nproc)))}
say "tests of the program, $workers at a time"
run_pytest together -n "$workers" --dist loadfile "$@"
say "tests that have the machine to themselves"
# Also apart from those of another check: this lock is one for the machine.  What
# a test leaves behind must not have it.
exec 8<"${TMPDIR:-/tmp}"
flock -n 8 || { say "they wait for those of another check" && flock 8; }
run_pytest alone "$@" 8<&-
exec 8<&-

say "results"
# shellcheck disable=SC2086 # a word each
exec $python scripts/test-results.py "$results" $codes
