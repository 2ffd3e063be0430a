version=github.com/docker/buildx/version
CGO_ENABLED=0 go build \
    -tags "netgo osusergo" \
    -ldflags "-s -w -buildid= -X $version.Version=v$VERSION -X $version.Revision=v$VERSION" \
    -o "$DEST/usr/local/lib/docker/cli-plugins/docker-buildx" ./cmd/buildx

mkdir -p "$DEST/usr/local/share/doc/docker-buildx"
cp LICENSE "$DEST/usr/local/share/doc/docker-buildx/"
