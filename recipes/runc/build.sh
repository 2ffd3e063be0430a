#!/bin/sh
set -eu

# libpathrs, the default path library since 1.5, is Rust: the tag is left out, the Go implementation is used.
CGO_ENABLED=1 go build \
    -tags "seccomp netgo osusergo urfave_cli_no_docs" \
    -ldflags "-s -w -buildid= -X main.gitCommit=v$VERSION -linkmode external -extldflags -static" \
    -o "$DEST/usr/local/bin/runc" .

"$DEST/usr/local/bin/runc" features | grep -q '"seccomp": {' || { echo "runc was built without seccomp" >&2; exit 1; }

mkdir -p "$DEST/usr/local/share/doc/runc"
cp LICENSE NOTICE "$DEST/usr/local/share/doc/runc/"
