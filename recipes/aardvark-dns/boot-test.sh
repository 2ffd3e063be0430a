#!/bin/sh
# It starts. That it answers is netavark's test, which starts it as podman does.
set -eu

/usr/local/libexec/podman/aardvark-dns version | grep -q '"version"'
