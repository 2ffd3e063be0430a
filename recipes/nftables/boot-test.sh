#!/bin/sh
set -eu

nft add table inet boottest
nft -j -f - <<'END'
{"nftables": [{"add": {"chain": {"family": "inet", "table": "boottest", "name": "in", "type": "filter",
  "hook": "input", "prio": 0, "policy": "accept"}}}]}
END
nft add rule inet boottest in iifname lo tcp dport 9 counter drop
nft add table ip boottest-nat
nft add chain ip boottest-nat post '{ type nat hook postrouting priority 100; }'
nft add rule ip boottest-nat post ip saddr 10.99.0.0/16 masquerade
nft -j list ruleset | grep -F '"masquerade"'
nft list chain inet boottest in | grep -F 'tcp dport 9 counter packets 0 bytes 0 drop'
nft delete table inet boottest
nft delete table ip boottest-nat
