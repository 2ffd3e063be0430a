#!/bin/sh
set -eu

export GIT_EXEC_PATH="$DEST/usr/local/libexec/git-core" GIT_TEMPLATE_DIR="$DEST/usr/local/share/git-core/templates"
export PATH="$DEST/usr/local/bin:$PATH"
git --version | grep -F "$VERSION"
git init -q made
git -C made -c user.name=n -c user.email=e commit -q --allow-empty -m first
git clone -q made cloned
[ "$(git -C cloned log --format=%s)" = first ]
for link in "$DEST"/usr/local/bin/* "$DEST"/usr/local/libexec/git-core/*; do
    [ -e "$link" ] || { echo "$link leads nowhere" >&2; exit 1; }
done
