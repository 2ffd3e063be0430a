#!/bin/sh
set -eu

program=$DEST/usr/local/lib/container-host/certificates
export CGO_ENABLED=0
go test -vet=off -tags "netgo osusergo" .
go build -tags "netgo osusergo" -ldflags "-s -w -buildid=" -o "$program" .
mkdir -p "$DEST/usr/local/share/doc/docker-tls"
install -D -m 755 check "$DEST/usr/local/lib/container-host/checks.d/docker-tls"
cp README "$DEST/usr/local/share/doc/docker-tls/"
