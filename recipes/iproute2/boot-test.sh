#!/bin/sh
set -eu

# By full names: BusyBox has an ip, too. Names of protocols come from a file beside the program.
ip=/usr/local/bin/ip
"$ip" netns add boottest
"$ip" link add boot0 type veth peer name boot1 netns boottest
"$ip" addr add 10.98.0.1/24 dev boot0
"$ip" link set boot0 up
"$ip" -n boottest addr add 10.98.0.2/24 dev boot1
"$ip" -n boottest link set boot1 up
"$ip" -n boottest -j addr show dev boot1 | grep -F '"10.98.0.2"'
ping -c 1 -w 10 10.98.0.2
"$ip" route | grep -F 'proto kernel'
"$ip" netns exec boottest ss -Hltn | wc -l
tc qdisc add dev boot0 root fq_codel
tc qdisc show dev boot0 | grep -F fq_codel
bridge link
"$ip" netns del boottest
