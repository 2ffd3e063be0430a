#!/bin/sh
# It runs, is static, carries its version, and looks for defaults where they are installed.
set -eu

buildah=$DEST/usr/local/bin/buildah
"$buildah" --version | grep -qF "$VERSION" || { echo "buildah does not carry its version" >&2; exit 1; }
grep -qaF /usr/local/share/containers "$buildah" || { echo "buildah looks for its defaults elsewhere" >&2; exit 1; }
! ldd "$buildah" >/dev/null 2>&1 || { echo "buildah is not static" >&2; exit 1; }
