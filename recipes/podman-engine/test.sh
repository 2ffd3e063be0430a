#!/bin/sh
# The programs run, are static, carry their version, and look for defaults where they are installed.
set -eu

bin=$DEST/usr/local/bin
for program in podman podman-remote; do
    "$bin/$program" --version | grep -qF "$VERSION" || { echo "$program does not carry its version" >&2; exit 1; }
    grep -qaF /usr/local/share/containers "$bin/$program" ||
        { echo "$program looks for its defaults elsewhere" >&2; exit 1; }
done
# The C library answers for what is not a dynamic program.
for program in "$bin/podman" "$bin/podman-remote" "$DEST/usr/local/libexec/podman/rootlessport"; do
    ! ldd "$program" >/dev/null 2>&1 || { echo "$program is not static" >&2; exit 1; }
done
