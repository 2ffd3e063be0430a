#!/bin/sh
set -eu

# Defaults are read from below /usr/local, an administrator's changes from /etc/containers.
CGO_ENABLED=1 go build \
    -tags "netgo osusergo grpcnotrace containers_image_openpgp exclude_graphdriver_btrfs sqlite_omit_load_extension" \
    -ldflags "-s -w -buildid= \
        -X go.podman.io/storage/pkg/configfile.systemConfigPath=/usr/local/share/containers \
        -linkmode external -extldflags -static" \
    -o "$DEST/usr/local/bin/skopeo" ./cmd/skopeo

mkdir -p "$DEST/usr/local/share/doc/skopeo"
cp LICENSE "$DEST/usr/local/share/doc/skopeo/"
