#!/bin/sh
# Makes an image out of nothing, runs a command in it, commits it.
set -eu

container=$(buildah from scratch)
buildah copy -q "$container" /bin/busybox /bin/busybox
buildah run --network none "$container" /bin/busybox mkdir /made
buildah config --cmd /bin/busybox "$container"
image=$(buildah commit -q "$container" buildah-test)
buildah rm "$container"
buildah inspect --type image buildah-test | grep -q /bin/busybox
buildah rmi "$image"
