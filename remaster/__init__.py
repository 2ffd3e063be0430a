"""A Tiny Core base and a set of extensions in, a container host image that boots out.

Layers, lowest first (import-linter keeps the direction):

* pure: ``variant`` ``bootcode`` ``plan`` ``hooks`` ``menu`` ``manifest``
* one effect each: ``compress`` ``rootfs`` ``cpio`` ``hybrid`` ``iso`` ``serial`` ``terminal`` ``vm``
* the work: ``base`` ``image``
* on top: ``cli``
"""
