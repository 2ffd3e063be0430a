#!/bin/sh
# Runs as root at boot, in the background. Put other system start-up commands here.
