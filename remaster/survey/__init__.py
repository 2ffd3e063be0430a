"""What an image is, found by looking into it: never by its name, never by starting it.

``medium`` opens what there is (ISO image, initrd, folder), ``bootconfig``, ``kernels``, ``rootfacts`` and
``cde`` read the parts, ``look`` puts them together, ``text`` shows the result, ``model`` has the nouns.
"""
