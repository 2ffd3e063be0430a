#!/bin/sh
# Installs the script of files/ as it is.
set -eu
mkdir -p "$DEST"
cp -R "$RECIPE/files/." "$DEST/"
