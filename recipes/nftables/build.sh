#!/bin/sh
set -eu

# Repacked as Debian builds it: with JSON, which netavark and docker talk to it.
mkdir -p "$DEST/usr/local/lib" "$DEST/usr/local/sbin" "$DEST/usr/local/share/doc/nftables"
install -m 755 usr/sbin/nft "$DEST/usr/local/sbin/nft"
cp -P usr/lib/x86_64-linux-gnu/libnftables.so.* "$DEST/usr/local/lib/"
cp usr/share/doc/nftables/copyright "$DEST/usr/local/share/doc/nftables/"
