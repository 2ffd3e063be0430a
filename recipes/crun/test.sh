#!/bin/sh
# It runs, is static, and filters system calls, drops capabilities and limits devices (eBPF).
set -eu

crun=$DEST/usr/local/bin/crun
XDG_RUNTIME_DIR=/build/tmp "$crun" --version >/build/tmp/version
for word in "$VERSION" +SECCOMP +CAP +EBPF; do
    grep -qF "$word" /build/tmp/version || { echo "not in crun --version: $word" >&2; cat /build/tmp/version; exit 1; }
done
! ldd "$crun" >/dev/null 2>&1 || { echo "crun is not static" >&2; exit 1; }
