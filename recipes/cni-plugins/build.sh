#!/bin/sh
set -eu

variable=github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion
mkdir -p "$DEST/usr/local/libexec/cni" "$DEST/usr/local/share/doc/cni-plugins"
# The plugins for Windows are none of ours.
for folder in plugins/meta/* plugins/main/* plugins/ipam/*; do
    if [ ! -d "$folder" ] || [ "${folder##*/}" = windows ]; then continue; fi
    CGO_ENABLED=0 go build -tags "netgo osusergo" -ldflags "-s -w -buildid= -X $variable=v$VERSION" \
        -o "$DEST/usr/local/libexec/cni/${folder##*/}" "./$folder"
done
cp LICENSE "$DEST/usr/local/share/doc/cni-plugins/"
