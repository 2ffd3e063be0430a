#!/bin/sh
set -eu

for file in "$DEST"/usr/local/lib/*.so "$DEST"/usr/local/lib/*.so.*; do
    [ -e "$file" ] || { echo "$file leads nowhere" >&2; exit 1; }
done
! grep -r x86_64-linux-gnu "$DEST/usr/local/lib/pkgconfig"
