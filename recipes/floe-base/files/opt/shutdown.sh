#!/bin/sh
# Runs as root at power-off and reboot, after the services are stopped, before anything is killed.
