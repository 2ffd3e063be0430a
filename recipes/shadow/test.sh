#!/bin/sh
# The programs run and tell how they are to be called; they are static.
set -eu

for name in newuidmap newgidmap getsubids; do
    program=$DEST/usr/local/bin/$name
    "$program" 2>&1 | grep -qi "usage: $name" || { echo "$name does not tell its usage" >&2; exit 1; }
    ! ldd "$program" >/dev/null 2>&1 || { echo "$name is not static" >&2; exit 1; }
done
