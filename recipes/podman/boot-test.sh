#!/bin/sh
# The service starts, answers its API, tells its status, stops.
set -eu

service=/usr/local/etc/init.d/podman
$service start
$service status
podman --url unix:///run/podman/podman.sock info --format '{{.Host.ServiceIsRemote}}' | grep -qx true
[ "$(stat -c '%a %G' /run/podman/podman.sock)" = "660 podman" ]
$service stop
! $service status
