"""Variants: what kind of image is made. A TOML file each, checked whole before anything is built.

The format (schema 1)::

    schema = 1
    name = "docker"
    summary = "..."
    extends = "linux"                  # another variant's name, or the path of its file
    kernel = "kernel"                  # the package that brings the kernel
    boot-codes = ["noembed", "cde"]
    services = ["docker"]              # started at boot in this order
    packages.onboot = ["docker"]       # loaded at boot
    packages.optional = []             # on the medium, loaded on request (more: ``packages``)
    [image]
    volume-id = "floe-{name}-v{version}"
    title = "floe {name} {version}"
    version-of = "docker"              # the package whose version is the image's
    timeout = 3                        # seconds that the boot menu waits
    data-label = "floe-data"           # of the partition for data on disks
    data-mib = 256                     # its size; it is made to grow
    max-iso-mb = 700                   # MiB; a larger ISO image is not written
    max-ram-mb = 512                   # MiB; nor one that needs more memory to boot
    [menu]                             # entries of the boot menu and its default (see ``menu``)
    [[file]]
    path = "/etc/motd"
    mode = "644"
    owner = "root:root"                # names of the base's passwd and group, or numbers
    content = "..."                    # or: source = "motd", beside the variant's file

and, each a module of its own, what is said of the machine: ``hostname``, ``[sysctl]``, ``[[user]]``,
``[registries]``, ``[[preload]]``, ``[[container]]`` and others (``settings`` has all;
docs/reference/variant.md). Lists of an extended variant come first; single values and files of the same
path are replaced.

``fields`` has the kinds of keys: each key is described once, and read, put into the JSON Schema
(``schema``) and into the file to begin with by that. ``parts`` has what tables come to, ``model`` the
variant, ``checks`` and ``secrets`` what is wrong with a text; ``merging`` puts a variant over what it
extends, ``reading`` reads one, ``applying`` turns its settings into files, packages, services and boot
codes, ``options`` adds a command line's.
"""

from __future__ import annotations

from remaster.variant.checks import mistakes, package_complaint, path_complaint
from remaster.variant.files import file_option
from remaster.variant.merging import joined, merge_files, override
from remaster.variant.model import DATA_LABEL, DATA_MIB, Place, Variant
from remaster.variant.options import extended, set_options
from remaster.variant.packages import ALL, PLACES, place_option
from remaster.variant.parts import FileSpec
from remaster.variant.reading import examined, find, load, names, over

__all__ = [
    "ALL",
    "DATA_LABEL",
    "DATA_MIB",
    "PLACES",
    "FileSpec",
    "Place",
    "Variant",
    "examined",
    "extended",
    "file_option",
    "find",
    "joined",
    "load",
    "merge_files",
    "mistakes",
    "names",
    "over",
    "override",
    "package_complaint",
    "path_complaint",
    "place_option",
    "set_options",
]
