#!/bin/sh
set -eu

package=github.com/docker/buildx/version
CGO_ENABLED=0 go build \
    -tags "netgo osusergo" \
    -ldflags "-s -w -buildid= -X $package.Version=v$VERSION -X $package.Revision=v$VERSION" \
    -o "$DEST/usr/local/lib/docker/cli-plugins/docker-buildx" ./cmd/buildx

mkdir -p "$DEST/usr/local/share/doc/docker-buildx"
cp LICENSE "$DEST/usr/local/share/doc/docker-buildx/"
