#!/bin/sh
set -eu

module=github.com/containerd/containerd/v2
export CGO_ENABLED=0
for command in containerd containerd-shim-runc-v2; do
    # There is no git history in a module: the revision that clients show is the tag.
    go build \
        -tags "netgo osusergo static_build no_btrfs no_cri urfave_cli_no_docs" \
        -ldflags "-s -w -buildid= -X $module/version.Version=v$VERSION -X $module/version.Revision=v$VERSION" \
        -o "$DEST/usr/local/bin/$command" "./cmd/$command"
done

mkdir -p "$DEST/usr/local/etc/init.d" "$DEST/usr/local/etc/containerd" "$DEST/usr/local/share/doc/containerd"
cp "$RECIPE/files/config.toml" "$DEST/usr/local/etc/containerd/"
install -m 755 "$RECIPE/files/init.d-containerd" "$DEST/usr/local/etc/init.d/containerd"
cp LICENSE NOTICE "$DEST/usr/local/share/doc/containerd/"
