#!/bin/sh
# It starts, which takes its libraries from their own folder.
set -eu

/usr/local/libexec/podman/conmon --version | grep -q '^conmon version 2\.'
