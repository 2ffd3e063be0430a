#!/bin/sh
# Sets the clock once from the time server in /etc/sysconfig/ntpserver, as soon as there is a network.
read -r server </etc/sysconfig/ntpserver || server=pool.ntp.org
tries=60
while [ "$tries" -gt 0 ] && [ ! -e /run/floe/network ]; do
    sleep 1
    tries=$((tries - 1))
done
exec timeout 60 ntpd -n -q -p "$server" >/dev/null 2>&1
