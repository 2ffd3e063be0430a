#!/bin/sh
# It runs, knows a FUSE of version 3, and is static.
set -eu

program=$DEST/usr/local/bin/fuse-overlayfs
"$program" --version 2>&1 | grep -q "FUSE library version 3" || { echo "fuse-overlayfs does not tell its versions" >&2; exit 1; }
! ldd "$program" >/dev/null 2>&1 || { echo "fuse-overlayfs is not static" >&2; exit 1; }
