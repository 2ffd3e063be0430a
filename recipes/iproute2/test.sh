#!/bin/sh
set -eu

for name in bin/ip bin/ss sbin/tc sbin/bridge sbin/devlink; do
    "$DEST/usr/local/$name" -V | grep -E 'iproute2|devlink'
done
