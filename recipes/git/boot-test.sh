#!/bin/sh
set -eu

# Cloned by HTTP from a server on this machine, over the library that HTTPS goes through too.
cd "$(mktemp -d)"
export HOME="$PWD"
git config --global user.name n
git config --global user.email e
git init -q made
echo text >made/file
git -C made add file
git -C made commit -qm first
git -C made repack -adq
git -C made update-server-info
httpd -p 127.0.0.1:8082 -h made/.git
git clone -q http://127.0.0.1:8082/ cloned
[ "$(cat cloned/file)" = text ]
git ls-remote https://127.0.0.1:1/ 2>&1 | grep -iF 'connect'
