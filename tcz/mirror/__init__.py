"""A private mirror: packages, the index files that Tiny Core's scripts read, and snapshots of both.

``model`` and ``indexes`` are pure; ``objects`` keeps bytes, ``repository`` publishes states of the mirror
atomically. What commands do with it (``add``, ``sync``, ``verify`` ...) are modules beside them.
"""
