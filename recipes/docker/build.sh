mkdir -p "$DEST/usr/local/share/docker"
cp README "$DEST/usr/local/share/docker/"
