#!/bin/sh
set -eu

cd "$(mktemp -d)"
openssl version -d | grep -F /usr/local/etc/ssl
openssl genpkey -algorithm ed25519 -out key
echo text >text
openssl pkeyutl -sign -rawin -inkey key -in text -out signature
openssl pkey -in key -pubout -out public
openssl pkeyutl -verify -rawin -pubin -inkey public -in text -sigfile signature
