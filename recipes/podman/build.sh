#!/bin/sh
set -eu

mkdir -p "$DEST/usr/local/etc/init.d" "$DEST/usr/local/share/podman"
install -m 755 init.d-podman "$DEST/usr/local/etc/init.d/podman"
cp README "$DEST/usr/local/share/podman/"
