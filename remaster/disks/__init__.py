"""Disk images read without mounts or loop devices: qcow2 or raw, partitions, the files of FAT and ext."""
