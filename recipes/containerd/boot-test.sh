#!/bin/sh
# load: container-host
set -eu

service=/usr/local/etc/init.d/containerd
"$service" start
"$service" status
[ -S /run/containerd/containerd.sock ]
"$service" stop
