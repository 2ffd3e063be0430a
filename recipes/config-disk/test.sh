#!/bin/sh
# The program as it is shipped: what is right comes to a plan, what is not is told with its line.
set -eu
cd "$(mktemp -d)"
plan=$DEST/usr/local/lib/config-disk/plan
printf '#cloud-config\nhostname: node1\nruncmd:\n- [echo, "it'\''s"]\n' >good
"$plan" user-data good out
[ "$(cat out/hostname)" = node1 ]
[ "$(sh out/runcmd)" = "it's" ]
printf '#cloud-config\npackages: [vim]\n' >bad
if "$plan" user-data bad refused 2>said; then exit 1; fi
grep -qxF 'user-data line 2: the key packages is not supported here' said
[ ! -e refused ]
