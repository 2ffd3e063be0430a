#!/bin/sh
# A router's announcement of one server, fd00::3 for 1800 s, as ICMPv6 carries it; nothing but the servers is read.
set -eu

said=$(printf '\206\0\0\0\100\0\7\10\0\0\0\0\0\0\0\0\31\3\0\0\0\0\7\10\375\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3' | router-servers -)
[ "$said" = "nameserver fd00::3" ]
# What is cut is none.
cut=$(printf '\206\0\0\0\100\0\7\10\0\0\0\0\0\0\0\0\31\3\0\0\0\0\7\10' | router-servers - 2>&1) || :
[ "$cut" = "router-servers: this is no announcement of a router" ]

# The machine's own router, where it announces any, is listened to by this program.
if pidof router-servers >/dev/null; then [ -e /run/floe/net/eth0/dns.routers ]; fi
