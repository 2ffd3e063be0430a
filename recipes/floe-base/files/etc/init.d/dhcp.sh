#!/bin/sh
# Asks for an address on each Ethernet interface that has no client yet. Goes on in the background.
for path in /sys/class/net/*; do
    name=${path##*/}
    # Type 1 is Ethernet; a real or paravirtual card has a device behind it, bridges and the like do not.
    read -r type <"$path/type" 2>/dev/null || continue
    if [ "$type" != 1 ] || [ ! -e "$path/device" ]; then continue; fi
    pidfile=/run/udhcpc.$name.pid
    [ -f "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null && continue
    ifconfig "$name" up 2>/dev/null
    udhcpc -b -S -t 10 -T 2 -i "$name" -p "$pidfile" -x "hostname:$(hostname)" \
        -s /usr/share/udhcpc/default.script >/dev/null 2>&1 &
done
wait
