#!/bin/sh
set -eu

export LD_LIBRARY_PATH="$DEST/usr/local/lib"
for program in "$DEST"/usr/local/bin/* "$DEST"/usr/local/sbin/*; do
    "$program" --version | grep -F "$VERSION" >/dev/null || { echo "$program does not run" >&2; exit 1; }
done
truncate -s 8M disk
echo ',,L' | "$DEST/usr/local/sbin/sfdisk" -q disk
[ "$("$DEST/usr/local/sbin/blkid" -p -o value -s PTTYPE disk)" = dos ]
