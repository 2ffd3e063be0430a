#!/bin/sh
set -eu

for name in boot2docker boot2podman; do
    install -D -m 775 "$name/start" "$DEST/usr/local/tce.installed/$name"
done
