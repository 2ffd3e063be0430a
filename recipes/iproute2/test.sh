#!/bin/sh
set -eu

for name in bin/ip bin/ss sbin/tc; do
    "$DEST/usr/local/$name" -V | grep -F "iproute2-$VERSION"
done
for name in sbin/bridge sbin/devlink; do
    "$DEST/usr/local/$name" -V
done
