"""Recipes in, Tiny Core extensions out: build, resolve, mirror.

Layers, lowest first (import-linter keeps the direction):

* pure: ``errors`` ``model`` ``names`` ``tree`` ``metadata`` ``resolve`` ``lock`` ``reporting``
* one effect each: ``run`` ``paths`` ``store`` ``fetch`` ``squashfs`` ``tar`` ``apt``
* the work: ``recipe`` ``sources`` ``buildroot`` ``build`` ``package`` ``workshop`` ``doctor``
* on top: ``report`` ``cli``
"""

__version__ = "0.1.0"
