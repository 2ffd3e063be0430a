#!/bin/sh
# load: container-host
# A network space gets an address on a bridge, and loses it again.
set -eu

export CNI_PATH=/usr/local/libexec/cni CNI_CONTAINERID=cni-test CNI_IFNAME=eth0
unshare -n sleep 120 &
pid=$!
sleep 1
export CNI_NETNS=/proc/$pid/ns/net
config='{"cniVersion":"1.0.0","name":"cni-test","type":"bridge","bridge":"cnitest0","isGateway":true,
    "ipam":{"type":"host-local","subnet":"10.99.0.0/24","dataDir":"/tmp/cni-test"}}'
echo "$config" | CNI_COMMAND=ADD $CNI_PATH/bridge | grep -q '"address": "10.99.0.2/24"'
nsenter -n/proc/$pid/ns/net ip addr show eth0 | grep -q 10.99.0.2
ping -c 1 -w 5 10.99.0.2
echo "$config" | CNI_COMMAND=DEL $CNI_PATH/bridge
kill $pid
ip link delete cnitest0
