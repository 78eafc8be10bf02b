#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# memvisor-jit VERB…: memvisor of the same folder, whose emulator translates whatever
# runs twice: for tests, so that each of them may run on either.
here=$(dirname "$0")
case $1 in
run | restore | receive)
    case " $* " in
    *" --engine"[\ =]*) ;; # whoever names one means that
    *)
        verb=$1
        shift
        exec "$here/memvisor" "$verb" --engine emulator,jit=on,jit-after=2 "$@"
        ;;
    esac
    ;;
esac
exec "$here/memvisor" "$@"
