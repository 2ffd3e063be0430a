#!/bin/sh
# Lists every shell file of the project, one a line: by name, and by its first line.
set -eu
cd "$(dirname "$0")/.."
git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
    if [ ! -f "$file" ] || [ -L "$file" ]; then continue; fi
    case $file in
    *.sh | .ci/run) printf '%s\n' "$file" ;;
    *.*) ;;
    *)
        if head -n 1 "$file" | grep -qaE '^#! ?/(usr/)?bin/(env )?(ba|da|a)?sh|^# shellcheck shell='; then
            printf '%s\n' "$file"
        fi
        ;;
    esac
done
