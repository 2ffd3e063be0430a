#!/bin/sh
set -eu

export GOROOT="$DEST/usr/local/go" GOTOOLCHAIN=local GOCACHE=/build/tmp/cache
go=$GOROOT/bin/go
"$go" version | grep -F "go$VERSION linux/amd64"
cat >hello.go <<'END'
package main

import "fmt"

func main() { fmt.Println("hello") }
END
CGO_ENABLED=0 "$go" build -o hello hello.go
[ "$(./hello)" = hello ]
