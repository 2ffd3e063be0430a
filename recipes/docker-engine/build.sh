#!/bin/sh
set -eu

module=github.com/moby/moby/v2
built=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%S.000000000+00:00)
export CGO_ENABLED=0

# The names are those of the upstream build's ldflags. The module carries no git history, so the
# commit that `docker version` shows is the module's version.
go build \
    -tags "netgo osusergo static_build nri_no_wasm" \
    -ldflags "-s -w -buildid= \
        -X $module/dockerversion.Version=$VERSION \
        -X $module/dockerversion.GitCommit=v2.0.0-beta.24 \
        -X $module/dockerversion.BuildTime=$built" \
    -o "$DEST/usr/local/bin/dockerd" ./cmd/dockerd
go build \
    -tags "netgo osusergo static_build" \
    -ldflags "-s -w -buildid= -X $module/dockerversion.Version=$VERSION -X $module/dockerversion.GitCommit=v2.0.0-beta.24" \
    -o "$DEST/usr/local/bin/docker-proxy" ./cmd/docker-proxy

"$DEST/usr/local/bin/dockerd" --version | grep -qF "$VERSION" || { echo "dockerd does not carry its version" >&2; exit 1; }

mkdir -p "$DEST/usr/local/share/doc/docker-engine"
cp LICENSE NOTICE "$DEST/usr/local/share/doc/docker-engine/"
