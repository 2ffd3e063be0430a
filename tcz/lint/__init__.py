"""Checks of finished packages, each with a name, a level, an explanation and, where it can, a repair.

``finding`` holds the nouns; ``registry`` all checks, which live in modules by topic; ``subject`` what a check
sees of a package and ``context`` what it is compared with; ``fix`` repairs; ``report`` tells. None of these
touch a disk: ``files`` and ``shell`` do, and ``work`` puts it all together.
"""
