#!/bin/sh
set -eu

package=github.com/docker/cli/cli/version
built=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

CGO_ENABLED=0 go build \
    -tags "netgo osusergo grpcnotrace" \
    -ldflags "-s -w -buildid= -X $package.Version=$VERSION -X $package.GitCommit=v$VERSION -X $package.BuildTime=$built" \
    -o "$DEST/usr/local/bin/docker" ./cmd/docker

"$DEST/usr/local/bin/docker" --version | grep -qF "$VERSION" || { echo "docker does not carry its version" >&2; exit 1; }

mkdir -p "$DEST/usr/local/share/doc/docker-cli"
cp LICENSE NOTICE "$DEST/usr/local/share/doc/docker-cli/"
