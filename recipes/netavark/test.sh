#!/bin/sh
# It runs, carries its version, sets up with nftables by default, and is static.
set -eu

netavark=$DEST/usr/local/libexec/podman/netavark
"$netavark" version >/build/tmp/version
grep -qF "\"$VERSION\"" /build/tmp/version || { echo "netavark does not carry its version" >&2; exit 1; }
grep -q '"default_fw_driver": *"nftables"' /build/tmp/version || { cat /build/tmp/version >&2; exit 1; }
! readelf -lW "$netavark" | grep -q INTERP || { echo "netavark is not static" >&2; exit 1; }
