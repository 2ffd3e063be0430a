#!/bin/sh
set -eu

# It ends as its child does, and takes in what the child leaves behind.
status=0
docker-init -s -- sh -c 'sleep 1 & exit 7' || status=$?
[ "$status" = 7 ]
