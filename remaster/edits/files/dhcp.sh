#!/bin/sh
# Tiny Core's name for what sees to all interfaces, now and later; it goes on in the background.
exec /etc/init.d/network start
