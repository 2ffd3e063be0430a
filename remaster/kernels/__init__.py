"""Kernels that a user brings: a folder or a file becomes the packages that a kernel's recipe makes.

``given`` finds image, modules and packages; ``placing`` says which modules the root holds, and writes the
indexes; ``packing`` makes packages of it.
"""
