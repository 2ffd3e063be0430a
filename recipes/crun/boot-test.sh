#!/bin/sh
# load: container-host
# Runs a container out of a folder, in a control group of its own, and one with a limit.
set -eu

bundle=/tmp/crun-test
mkdir -p $bundle/rootfs/bin
cp /bin/busybox $bundle/rootfs/bin/
ln -s busybox $bundle/rootfs/bin/sh
cd $bundle
crun spec
sed -i -e 's/"terminal": true/"terminal": false/' \
    -e 's/^\([[:space:]]*\)"sh"$/\1"sh", "-c", "echo pid $$; exit 3"/' config.json
status=0
said=$(crun --cgroup-manager=cgroupfs run crun-test) || status=$?
[ "$said" = "pid 1" ]
[ "$status" = 3 ]
cd /
rm -r $bundle
