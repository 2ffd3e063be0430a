#!/bin/sh
set -eu

cd "$(mktemp -d)"
socat UNIX-LISTEN:socket EXEC:cat &
until [ -S socket ]; do usleep 100000; done
[ "$(echo text | socat - UNIX-CONNECT:socket)" = text ]
wait
