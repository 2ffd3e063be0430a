#!/bin/sh
# Settings are applied, what the kernel refuses is told, and the clock's service starts without a network.
set -eu

services=/usr/local/etc/init.d
mkdir -p /usr/local/etc/sysctl.d /usr/local/etc/modules-load.d
conf=/usr/local/etc/sysctl.d/50-image.conf
printf 'vm.swappiness = 33\nnet.ipv4.tcp_rmem = 4096 87380 6291456\n' >"$conf"
echo loop >/usr/local/etc/modules-load.d/50-image.conf
"$services/settings" start
"$services/settings" status
[ "$(cat /proc/sys/vm/swappiness)" = 33 ]
"$services/settings" stop
echo 'vm.nosuch = 1' >"$conf"
if "$services/settings" start; then exit 1; fi
rm "$conf"

echo 'server 127.0.0.1' >/etc/ntp.conf
"$services/clock" start
"$services/clock" status
"$services/clock" stop
rm /etc/ntp.conf
