#!/bin/sh
set -eu

iptables -N BOOTTEST
iptables -A BOOTTEST -m conntrack --ctstate ESTABLISHED -m comment --comment test -j RETURN
iptables -t nat -A POSTROUTING -s 10.99.0.0/16 -j MASQUERADE
iptables-save | grep -F -e '-A POSTROUTING -s 10.99.0.0/16 -j MASQUERADE'
ip6tables -A INPUT -p tcp --dport 9 -j DROP
ip6tables-save | grep -F -e '-A INPUT -p tcp -m tcp --dport 9 -j DROP'
iptables -t nat -D POSTROUTING -s 10.99.0.0/16 -j MASQUERADE
iptables -F BOOTTEST
iptables -X BOOTTEST
ip6tables -D INPUT -p tcp --dport 9 -j DROP
