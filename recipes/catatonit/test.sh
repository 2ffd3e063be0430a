#!/bin/sh
# It runs a command as its child and ends as that did.
set -eu

catatonit=$DEST/usr/local/libexec/podman/catatonit
"$catatonit" --version | grep -qF "$VERSION"
status=0
"$catatonit" -- sh -c 'exit 7' || status=$?
[ "$status" = 7 ] || { echo "catatonit ended with $status, its command with 7" >&2; exit 1; }
! ldd "$catatonit" >/dev/null 2>&1 || { echo "catatonit is not static" >&2; exit 1; }
