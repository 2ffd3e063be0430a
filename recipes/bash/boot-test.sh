#!/bin/sh
set -eu

script=$(mktemp)
cat >"$script" <<'END'
#!/bin/bash
shopt -s lastpipe
printf '%s\n' a b | mapfile -t lines
[[ ${lines[1]} =~ ^b$ ]] && echo "${#lines[@]}"
END
chmod +x "$script"
[ "$("$script")" = 2 ]
