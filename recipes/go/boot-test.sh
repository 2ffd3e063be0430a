#!/bin/sh
set -eu

# Compiling the library takes minutes on an emulated machine: what needs none of it is compiled.
cd "$(mktemp -d)"
go version
[ -f "$(go env GOROOT)/src/fmt/print.go" ]
printf 'package small\nfunc  Add(a,b int) int {return a+b}\n' | gofmt >small.go
grep -x 'func Add(a, b int) int { return a + b }' small.go
go tool compile -p small -o small.o small.go
grep -F 'small.Add' small.o >/dev/null
