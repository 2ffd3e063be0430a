#!/bin/sh
# It runs, carries its version, and is static.
set -eu

program=$DEST/usr/local/libexec/podman/aardvark-dns
"$program" version | grep -qF "$VERSION" || { echo "aardvark-dns does not carry its version" >&2; exit 1; }
! readelf -lW "$program" | grep -q INTERP || { echo "aardvark-dns is not static" >&2; exit 1; }
