#!/bin/sh
set -eu

nft() { LD_LIBRARY_PATH=$DEST/usr/local/lib:$LD_LIBRARY_PATH "$DEST/usr/local/sbin/nft" "$@"; }
nft --version | grep -F "v$VERSION"
nft -V | grep -E 'json:[[:space:]]*yes'
