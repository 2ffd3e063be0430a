#!/bin/sh
# load: container-host
# A command in a network space of its own has an address, without a bridge and without privileges.
set -eu

tries=30
while [ ! -e /run/floe/network ] && [ $tries -gt 0 ]; do sleep 1; tries=$((tries - 1)); done
modprobe tun
su -s /bin/sh tc -c 'pasta --config-net --foreground sh -c "ip addr"' >/tmp/passt-test
grep -q 'inet [1-9].*eth0' /tmp/passt-test || { cat /tmp/passt-test; exit 1; }
