"""Packages from elsewhere made into extensions: Debian packages, tar and zip files, OCI images.

``archive`` reads archives into trees, ``control``, ``copyright``, ``scripts`` and ``accounts`` read what
a Debian package says of itself, ``debian`` makes a draft of one package, ``closure`` of a package
with all it needs, ``tarball`` and ``oci`` of the other kinds; ``write`` makes a draft into a .tcz.
"""
