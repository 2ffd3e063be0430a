"""What a single value of a recipe must look like: each check returns a complaint or ``None``."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

NAME = re.compile(r"[a-z0-9][a-z0-9+._-]*")
PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~_-]*")
#: A sum of the right form that fits nothing.
NO_SUM = "h1:" + "A" * 43 + "="
_SHA256 = re.compile(r"[0-9a-f]{64}")
_H1 = re.compile(r"h1:[A-Za-z0-9+/]{43}=")
_MODULE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+(/[A-Za-z0-9._~+-]+)*")
_MODULE_VERSION = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+incompatible)?")
_GO_VERSION = re.compile(r"[0-9]+\.[0-9]+(\.[0-9]+|rc[0-9]+)?")
_GO_TAG = re.compile(r"[A-Za-z0-9_.]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]*")
_DEBIAN_VERSION = re.compile(r"([0-9]+:)?[0-9][A-Za-z0-9.+~:-]*")
_CRATE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_CRATE_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_DEBIAN_GLOB = re.compile(r"[a-z0-9*?\[][]a-z0-9+.*?\[!-]+")
_MODE = re.compile(r"[0-7]{3,4}")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
_LINT_CHECK = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LICENSE_TOKEN = re.compile(r"\s*([()]|[A-Za-z0-9][A-Za-z0-9.:-]*\+?)")
_OPERATORS = ("AND", "OR", "WITH")


def name(text: str) -> str | None:
    """Accept names of recipes: lower case, usable as a file name and in a shell."""
    if NAME.fullmatch(text):
        return None
    return f"{text!r} is not a name: lower-case letters, digits and + . _ - only, a letter or digit first"


def package_name(text: str) -> str | None:
    """Accept names of packages as Tiny Core allows them, without ``.tcz``; ``-KERNEL`` at the end only."""
    if text.endswith(".tcz"):
        return f"{text!r}: write the name without .tcz"
    if not PACKAGE_NAME.fullmatch(text):
        return f"{text!r} is not a package name: letters, digits and + . _ - only, a letter or digit first"
    if "KERNEL" in text.removesuffix("-KERNEL"):
        return f"{text!r}: KERNEL stands for the kernel's release only as -KERNEL at the end"
    return None


def lint_check(text: str) -> str | None:
    """Accept names as checks of ``tcz lint`` have them; whether there is such a check is told by lint."""
    return None if _LINT_CHECK.fullmatch(text) else f"{text!r} is no name of a check, such as set-id"


def version(text: str) -> str | None:
    """Accept versions: they go into file names and build ids."""
    return None if _VERSION.fullmatch(text) else f"{text!r} is not a version: no spaces or slashes"


def one_line(text: str) -> str | None:
    """Accept text that can be shown on one line."""
    if text != text.strip() or any(not char.isprintable() for char in text):
        return "is not one plain line of text"
    return None


def sha256(text: str) -> str | None:
    """Accept a sha256 in lower-case hex."""
    if _SHA256.fullmatch(text):
        return None
    if _SHA256.fullmatch(text.lower()):
        return "is a sha256 in upper case: write it in lower case"
    return f"is not a sha256: expected 64 hexadecimal digits, found {len(text)} characters"


def h1(text: str) -> str | None:
    """Accept a hash as go.sum writes it."""
    return None if _H1.fullmatch(text) else "is not a go.sum hash: expected 'h1:' and 44 base64 characters"


def module(text: str) -> str | None:
    """Accept a Go module path: a host name first."""
    return None if _MODULE.fullmatch(text) else f"{text!r} is not a Go module path such as example.org/name"


def module_version(text: str) -> str | None:
    """Accept a version of a Go module."""
    return None if _MODULE_VERSION.fullmatch(text) else f"{text!r} is not a module version such as v1.2.3"


def go_version(text: str) -> str | None:
    """Accept a version of Go itself."""
    return None if _GO_VERSION.fullmatch(text) else f"{text!r} is not a Go version such as 1.25.3"


def go_package(text: str) -> str | None:
    """Accept a package pattern of the go command, relative to its module or a path in full."""
    if text.startswith(("-", "/")) or any(char.isspace() or not char.isprintable() for char in text):
        return f"{text!r} is not a package pattern such as ./cmd/name or ./..."
    return None


def go_tag(text: str) -> str | None:
    """Accept a Go build tag."""
    return None if _GO_TAG.fullmatch(text) else f"{text!r} is not a build tag"


def crate(text: str) -> str | None:
    """Accept a crate's name."""
    return (
        None if _CRATE.fullmatch(text) else f"{text!r} is not a crate's name: letters, digits, - and _ only"
    )


def crate_version(text: str) -> str | None:
    """Accept a version of a crate: all three numbers."""
    return None if _CRATE_VERSION.fullmatch(text) else f"{text!r} is not a crate's version such as 1.2.3"


def commit(text: str) -> str | None:
    """Accept a commit's id in full."""
    if _COMMIT.fullmatch(text):
        return None
    return f"is not a commit's id: expected 40 hexadecimal digits in lower case, found {len(text)} characters"


def ref(text: str) -> str | None:
    """Accept the name of a branch or tag."""
    if _REF.fullmatch(text) and ".." not in text and not text.endswith((".", "/", ".lock")):
        return None
    return f"{text!r} is not the name of a branch or tag"


def git_url(text: str) -> str | None:
    """Accept the address of a git repository that can be read without an account."""
    if text.startswith("git://"):
        return url("https" + text.removeprefix("git"))
    complaint = url(text)
    if complaint is None and text.startswith("ftp:"):
        complaint = f"{text!r} does not start with https://, http:// or git://"
    return complaint


def debian_version(text: str) -> str | None:
    """Accept a version as Debian writes it."""
    return None if _DEBIAN_VERSION.fullmatch(text) else f"{text!r} is not a Debian version such as 1.2.3-4"


def debian(text: str) -> str | None:
    """Accept a Debian package name."""
    return None if _DEBIAN.fullmatch(text) else f"{text!r} is not a Debian package name"


def debian_glob(text: str) -> str | None:
    """Accept a Debian package name, or a glob of them."""
    if not _DEBIAN_GLOB.fullmatch(text):
        return f"{text!r} is not a Debian package name or a glob of them"
    return _balanced(text)


def mode(text: str) -> str | None:
    """Accept permission bits in octal."""
    return None if _MODE.fullmatch(text) else f"{text!r} is not an octal mode such as '755' or '4755'"


def tag(text: str) -> str | None:
    """Accept a word by which packages are found."""
    return None if _TAG.fullmatch(text) else f"{text!r} is not a tag: letters, digits and + . _ - only"


def path(text: str) -> str | None:
    """Accept a path below some folder: relative, normal, without surprises."""
    if text.startswith("/"):
        return f"{text!r} starts with a slash: paths here are relative"
    if any(part in ("", ".", "..") for part in text.split("/")):
        return f"{text!r} has an empty part, '.' or '..'"
    if any(not char.isprintable() for char in text) or "\\" in text:
        return f"{text!r} has a control character or a backslash"
    return None


def glob(text: str) -> str | None:
    """Accept a path in which ``*``, ``?``, ``[...]`` and ``**`` may stand."""
    complaint = path(text) or _balanced(text)
    if complaint is None and any("**" in part and part != "**" for part in text.split("/")):
        return f"{text!r}: ** must be a whole part of the path"
    return complaint


def _balanced(text: str) -> str | None:
    rest = re.sub(r"\[!?\]?[^]/]*\]", "", text)
    return f"{text!r}: unclosed [" if "[" in rest else None


def url(text: str) -> str | None:
    """Accept an address that a plain client can fetch; templates are filled in already."""
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return f"{text!r} is not a URL"
    if "{" in text or "}" in text:
        return f"{text!r}: only {{version}} and {{arch}} may stand in braces"
    if parts.scheme not in ("http", "https", "ftp"):
        return f"{text!r} does not start with https://, http:// or ftp://"
    if not host or any(char.isspace() or not char.isprintable() for char in text):
        return f"{text!r} is not a URL"
    return None


def license_expression(text: str) -> str | None:
    """Accept an SPDX licence expression by its shape; the names in it are not looked up."""
    complaint = f"{text!r} is not an SPDX expression such as 'GPL-2.0-only OR MIT'"
    depth, want_name, at = 0, True, 0
    for match in _LICENSE_TOKEN.finditer(text):
        if match.start() != at:
            return complaint
        at, word = match.end(), match[1]
        if word == "(" and want_name:
            depth += 1
        elif word == ")" and not want_name and depth > 0:
            depth -= 1
        elif word in _OPERATORS and not want_name:
            want_name = True
        elif word not in ("(", ")", *_OPERATORS) and want_name:
            want_name = False
        else:
            return complaint
    return complaint if want_name or depth or text[at:].strip() else None


def tinycore_release(text: str) -> str | None:
    """Accept the folder of a release on a mirror, such as ``17.x``."""
    return None if re.fullmatch(r"[1-9][0-9]?\.x", text) else 'a release of Tiny Core is written "17.x"'
