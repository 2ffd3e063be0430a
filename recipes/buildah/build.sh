#!/bin/sh
set -eu

# Defaults are read from below /usr/local, an administrator's changes from /etc/containers.
CGO_ENABLED=1 go build \
    -tags "netgo osusergo grpcnotrace containers_image_openpgp exclude_graphdriver_btrfs seccomp sqlite_omit_load_extension" \
    -ldflags "-s -w -buildid= -X main.buildInfo=$SOURCE_DATE_EPOCH \
        -X go.podman.io/storage/pkg/configfile.systemConfigPath=/usr/local/share/containers \
        -linkmode external -extldflags -static" \
    -o "$DEST/usr/local/bin/buildah" ./cmd/buildah

mkdir -p "$DEST/usr/local/share/doc/buildah"
cp LICENSE "$DEST/usr/local/share/doc/buildah/"
