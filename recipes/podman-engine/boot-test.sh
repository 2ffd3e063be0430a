#!/bin/sh
# Runs a container on the default network, reads the configuration where it is installed, removes all again.
set -eu

podman info --format '{{.Host.OCIRuntime.Name}} {{.Host.NetworkBackend}} {{.Host.CgroupManager}}' |
    grep -qx 'crun netavark cgroupfs'
dir=/tmp/podman-test
mkdir -p $dir/bin
cp /bin/busybox $dir/bin/
ln -s busybox $dir/bin/sh
ln -s busybox $dir/bin/ip
tar -C $dir -cf - . | podman import -q - podman-test
podman run --rm --init podman-test sh -c 'ip addr show eth0' | grep -q 'inet 10\.88\.'
podman rmi podman-test
rm -r $dir
podman-remote --version
