#!/bin/sh
# load: container-host
# Connects a network space to a bridge with nftables, has its name served there, and takes all away again.
set -eu

bin=/usr/local/libexec/podman
dir=/tmp/netavark-test
mkdir -p $dir
unshare -n sleep 120 &
pid=$!
sleep 1
cat >$dir/network.json <<'END'
{"container_id": "0123456789abcdef", "container_name": "tester",
 "networks": {"test": {"interface_name": "eth0", "static_ips": ["10.98.0.2"], "aliases": ["tested"]}},
 "network_info": {"test": {"name": "test", "driver": "bridge", "network_interface": "nettest0",
   "id": "53ce4390f2adb1681eb1a90ec8b48c49c015e0a8d336c197637e7f65e365fa9e",
   "subnets": [{"subnet": "10.98.0.0/24", "gateway": "10.98.0.1"}], "ipv6_enabled": false,
   "internal": false, "dns_enabled": true, "ipam_options": {"driver": "host-local"}}}}
END
run() {
    $bin/netavark --config $dir --aardvark-binary $bin/aardvark-dns "$1" /proc/$pid/ns/net <$dir/network.json
}
run setup
nft list table inet netavark | grep -q masquerade
nsenter -n/proc/$pid/ns/net nslookup tester 10.98.0.1 | grep -q 10.98.0.2
run teardown
kill $pid
[ ! -e /sys/class/net/nettest0 ]
