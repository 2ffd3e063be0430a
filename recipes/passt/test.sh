#!/bin/sh
# The programs run under both names, carry their version, and are static.
set -eu

for name in passt pasta; do
    # What it would say is lost in a pipe.
    "$DEST/usr/local/bin/$name" --version >/dev/null
    grep -qaF "$VERSION" "$DEST/usr/local/bin/$name" || { echo "$name does not carry its version" >&2; exit 1; }
done
[ -x "$DEST/usr/local/bin/pasta.avx2" ]
for name in passt passt.avx2; do
    ! ldd "$DEST/usr/local/bin/$name" >/dev/null 2>&1 || { echo "$name is not static" >&2; exit 1; }
done
