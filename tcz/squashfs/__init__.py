"""squashfs 4.0, straight from and to a tree: no scratch folder, no program of the host.

``options`` says how an image is compressed, ``writer.write`` packs a tree, ``image.read`` returns one
whose contents stay in the image, and ``image.Image`` lists. ``layout`` has the structures, ``codec`` the
compressors.
"""
