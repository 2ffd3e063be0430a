"""The keys of a variant's file that say what image it is."""

from __future__ import annotations

from typing import Final

from remaster.variant.checks import DATA_LABEL, NAME, PACKAGE, SERVICE, TEMPLATE
from remaster.variant.fields import Number, Section, Shape, Text, Texts
from remaster.variant.model import DATA_LABEL as USUAL_LABEL
from remaster.variant.model import DATA_MIB as USUAL_MIB
from remaster.variant.model import TITLE as USUAL_TITLE
from remaster.variant.model import VOLUME_ID as USUAL_VOLUME

_LONGEST_WAIT: Final = 3600
#: MiB: as much as no machine has.
_LARGEST_BUDGET: Final = 1 << 30

SCHEMA = Number("schema", "The version of this format.", low=1, high=1, example="schema = 1\n")
NAME_KEY = Text("name", "What the variant is called.", rule=NAME, default=None, example='name = "mine"\n')
SUMMARY = Text("summary", "What it is, in a line.", default=None, example='summary = "A host of our own"\n')
EXTENDS = Text(
    "extends",
    "The variant that it builds upon: a name, or the path of a file beside it.",
    example='extends = "docker"\n',
)
KERNEL = Text(
    "kernel",
    "The package that brings the kernel.",
    rule=PACKAGE,
    default="kernel",
    example='kernel = "kernel"\n',
)
BOOT_CODES = Texts(
    "boot-codes",
    "Boot codes, one a string; `remaster boot-codes` explains them.",
    example='boot-codes = ["noswap"]\n',
)
SERVICES = Texts(
    "services",
    "Services that are started at boot, in this order.",
    rule=SERVICE,
    example='services = ["sshd"]\n',
)

VOLUME_ID = Text("volume-id", "The label of the medium.", rule=TEMPLATE, default=USUAL_VOLUME)
TITLE = Text("title", "The title of the boot menu.", rule=TEMPLATE, default=USUAL_TITLE)
VERSION_OF = Text("version-of", "The package whose version is the image's.", rule=PACKAGE, empty=True)
TIMEOUT = Number("timeout", "Seconds that the boot menu waits.", high=_LONGEST_WAIT, default=3)
LABEL = Text("data-label", "The label of the data partition.", rule=DATA_LABEL, default=USUAL_LABEL)
MIB = Number(
    "data-mib", "Its size in the image, in MiB; it is made to grow.", low=16, high=1 << 20, default=USUAL_MIB
)
MAX_ISO = Number(
    "max-iso-mb", "An ISO image of more MiB is not written.", low=1, high=_LARGEST_BUDGET, default=0
)
MAX_RAM = Number(
    "max-ram-mb",
    "Nor is an image that needs more MiB of memory to boot.",
    low=1,
    high=_LARGEST_BUDGET,
    default=0,
)
IMAGE = Section(
    "image",
    "The image as a whole.",
    Shape((VOLUME_ID, TITLE, VERSION_OF, TIMEOUT, LABEL, MIB, MAX_ISO, MAX_RAM)),
    example="[image]\ntimeout = 0\n",
)
