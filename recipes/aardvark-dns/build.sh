#!/bin/sh
set -eu

# Static, so that it runs on bases with an older C library. Named as a target, the flag leaves out the compiler's own
# plug-ins, which must be dynamic.
target=x86_64-unknown-linux-gnu
export RUSTFLAGS="$RUSTFLAGS -C target-feature=+crt-static -C strip=symbols"
cargo build --release --frozen -j "$JOBS" --target $target --bin aardvark-dns

mkdir -p "$DEST/usr/local/libexec/podman" "$DEST/usr/local/share/doc/aardvark-dns"
install -m 755 target/$target/release/aardvark-dns "$DEST/usr/local/libexec/podman/"
cp LICENSE "$DEST/usr/local/share/doc/aardvark-dns/"
