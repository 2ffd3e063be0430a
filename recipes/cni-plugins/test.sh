#!/bin/sh
# Every plugin tells which versions of the protocol it speaks, and that it is of this release.
set -eu

for name in bridge host-local loopback portmap firewall ipvlan macvlan dhcp static tuning bandwidth; do
    plugin=$DEST/usr/local/libexec/cni/$name
    echo '{"cniVersion":"1.0.0"}' | CNI_COMMAND=VERSION "$plugin" | grep -qF '"1.1.0"' ||
        { echo "$name does not speak version 1.1.0 of the protocol" >&2; exit 1; }
    "$plugin" 2>&1 </dev/null | grep -qF "v$VERSION" || { echo "$name does not carry its version" >&2; exit 1; }
done
