#!/bin/sh
# load: container-host
set -eu

dir=$(mktemp -d)
cd "$dir"
mkdir -p rootfs/bin
cp /bin/busybox rootfs/bin/
runc spec
sed -i -e 's/"terminal": true/"terminal": false/' -e 's|"sh"|"/bin/busybox", "cat", "/proc/sys/kernel/hostname"|' \
    config.json
[ "$(runc run boottest)" = runc ]
