#!/bin/sh
set -eu

# The distribution's compiler compiles a compiler out of the source beside it, that one the next, and that
# one everything: the last two are the same when all is well, whoever made the first.
cp -R "$GOROOT" go
chmod -R u+w go
rm -rf go/bin go/pkg/tool
(
    export GOROOT_BOOTSTRAP="$GOROOT" GOTOOLCHAIN=local
    unset GOROOT GOFLAGS GOPROXY GOSUMDB GOMODCACHE
    cd go/src
    bash make.bash
)

# The result is Go's own, byte by byte.
for file in bin/go bin/gofmt pkg/tool/linux_amd64/asm pkg/tool/linux_amd64/compile pkg/tool/linux_amd64/link; do
    cmp "go/$file" "$GOROOT/$file"
done

# Not needed to compile programs: what make.bash leaves, and the tests of the library.
rm -rf go/pkg/bootstrap go/pkg/obj go/src/cmd/*/testdata
find go/src -name testdata -prune -exec rm -rf {} +
find go/src -name '*_test.go' -exec rm -f {} +

mkdir -p "$DEST/usr/local/bin"
cp -R go "$DEST/usr/local/go"
ln -s ../go/bin/go ../go/bin/gofmt "$DEST/usr/local/bin/"
