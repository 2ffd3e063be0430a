# shellcheck shell=sh
# Who logs in sees how the machine is.
case "$-" in
    *i*) [ ! -t 1 ] || /usr/local/bin/status --short ;;
esac
