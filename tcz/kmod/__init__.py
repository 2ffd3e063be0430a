"""Kernel modules: what each says of itself, the indexes that modprobe goes by, and what modprobe can read."""
