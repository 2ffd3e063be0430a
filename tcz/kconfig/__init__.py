"""Kernel configurations: what Kconfig files say of a symbol, and why a wanted value did not come about.

The language is that of the kernel's Documentation/kbuild/kconfig-language.rst and
kconfig-macro-language.rst. Values are never worked out here: the kernel's own ``conf`` writes a .config,
which is taken at its word, and what Kconfig files say is held against it. Builds run these modules in their
sandbox (``python3 -m tcz.kconfig``), so they need nothing but the standard library.
"""
