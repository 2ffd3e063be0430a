#!/bin/sh
set -eu

mkdir -p "$DEST/usr/local/etc/init.d" "$DEST/usr/local/share/docker" "$DEST/usr/local/lib/container-host"
install -m 755 init.d-docker "$DEST/usr/local/etc/init.d/docker"
install -m 644 options "$DEST/usr/local/lib/container-host/docker-options"
cp README "$DEST/usr/local/share/docker/"
