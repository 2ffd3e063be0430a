#!/bin/sh
set -eu

module=go.podman.io/podman/v6
bin=$DEST/usr/local/bin
tags="netgo osusergo grpcnotrace containers_image_openpgp exclude_graphdriver_btrfs"
# Defaults are read from below /usr/local, an administrator's changes from /etc/containers.
flags="-s -w -buildid= \
    -X $module/libpod/define.buildInfo=$SOURCE_DATE_EPOCH \
    -X go.podman.io/storage/pkg/configfile.systemConfigPath=/usr/local/share/containers"

CGO_ENABLED=1 go build -tags "$tags seccomp sqlite_omit_load_extension" \
    -ldflags "$flags -linkmode external -extldflags -static" -o "$bin/podman" ./cmd/podman
CGO_ENABLED=0 go build -tags "$tags remote" -ldflags "$flags" -o "$bin/podman-remote" ./cmd/podman
CGO_ENABLED=0 go build -ldflags "-s -w -buildid=" -o "$DEST/usr/local/libexec/podman/rootlessport" ./cmd/rootlessport

for name in podman-engine podman-remote; do
    mkdir -p "$DEST/usr/local/share/doc/$name"
    cp LICENSE "$DEST/usr/local/share/doc/$name/"
done
