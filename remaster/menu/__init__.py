"""The boot menu, described once and written for every loader.

isolinux (BIOS, from CD and USB), GRUB (UEFI, and disks by either firmware) and iPXE (over the network) get
the same entries, the same words, the same default and time to wait, and the same help.

``model`` has the nouns, ``entries`` makes those that every image has and a variant's own, ``help`` the
screens of help; ``isolinux``, ``grub`` and ``ipxe`` write.
"""

from __future__ import annotations

from remaster.menu.entries import NORMAL, STANDARD, EntrySpec, entries_for, label_complaint, serial_line
from remaster.menu.grub import grub_cfg
from remaster.menu.help import pages_for
from remaster.menu.ipxe import ipxe_script
from remaster.menu.isolinux import boot_msg, help_files, isolinux_cfg
from remaster.menu.model import INITRD_PATH, KERNEL_PATH, Entry, Menu, Page

__all__ = [
    "INITRD_PATH",
    "KERNEL_PATH",
    "NORMAL",
    "STANDARD",
    "Entry",
    "EntrySpec",
    "Menu",
    "Page",
    "boot_msg",
    "entries_for",
    "grub_cfg",
    "help_files",
    "ipxe_script",
    "isolinux_cfg",
    "label_complaint",
    "pages_for",
    "serial_line",
]
