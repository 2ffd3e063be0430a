#!/bin/sh
# Installs the service scripts of files/ as they are.
set -eu
mkdir -p "$DEST"
cp -R "$RECIPE/files/." "$DEST/"
