#!/bin/sh
set -eu

for file in "$DEST"/usr/local/lib/*.so.*; do
    [ -e "$file" ] || { echo "$file leads nowhere" >&2; exit 1; }
done
