# Read by login shells after /etc/profile.
export ENV="$HOME/.ashrc"
[ -d "$HOME/.local/bin" ] && PATH="$HOME/.local/bin:$PATH"
