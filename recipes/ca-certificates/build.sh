#!/bin/sh
set -eu

bundle=$DEST/usr/local/etc/ssl/certs/ca-certificates.crt
mkdir -p "${bundle%/*}" "$DEST/usr/local/tce.installed" "$DEST/usr/local/share/doc/ca-certificates"

# One file for all: what Go, curl and OpenSSL read. awk 1 ends every file with a newline.
find usr/share/ca-certificates/mozilla -name '*.crt' | LC_ALL=C sort | xargs awk 1 >"$bundle"
[ "$(grep -c 'BEGIN CERTIFICATE' "$bundle")" -gt 100 ] || { echo "too few certificates in the bundle" >&2; exit 1; }

install -m 775 "$RECIPE/files/tce.installed" "$DEST/usr/local/tce.installed/ca-certificates"
cp usr/share/doc/ca-certificates/copyright "$DEST/usr/local/share/doc/ca-certificates/"
