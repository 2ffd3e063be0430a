#!/bin/sh
# As the first process of its own process space it starts a command, and ends as that does.
set -eu

status=0
unshare -p -f /usr/local/libexec/podman/catatonit -- sh -c 'exit 7' || status=$?
[ "$status" = 7 ]
