#!/bin/sh
set -eu

mkdir -p "$DEST/usr/local/etc/init.d" "$DEST/usr/local/share/docker"
install -m 755 init.d-docker "$DEST/usr/local/etc/init.d/docker"
cp README "$DEST/usr/local/share/docker/"
