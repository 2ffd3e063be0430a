#!/bin/sh
# It runs, and takes every library but the C library's from its own folder.
set -eu

conmon=$DEST/usr/local/libexec/podman/conmon
"$conmon" --version | grep -q '^conmon version 2\.'
ldd "$conmon" | awk '$2 == "=>" && $3 !~ /lib\/conmon\/|\/lib(c|m)\.so\.6$/ { print "not its own:", $0; bad = 1 } END { exit bad }'
