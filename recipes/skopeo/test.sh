#!/bin/sh
# It runs, is static, carries its version, and looks for defaults where they are installed.
set -eu

skopeo=$DEST/usr/local/bin/skopeo
"$skopeo" --version | grep -qF "$VERSION" || { echo "skopeo does not carry its version" >&2; exit 1; }
grep -qaF /usr/local/share/containers "$skopeo" || { echo "skopeo looks for its defaults elsewhere" >&2; exit 1; }
! ldd "$skopeo" >/dev/null 2>&1 || { echo "skopeo is not static" >&2; exit 1; }
