"""The walk through dependencies itself, which ``tcz.resolve`` dresses up. Pure, and quick to import.

Order as Tiny Core's ``tce-load`` has it: see ``tcz.resolve``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # the module typing takes longer to import than a closure to find
    from collections.abc import Callable, Iterator, Sequence

    #: Returns the names a package needs, in its .dep's order, or ``None`` for an unknown package.
    Needs = Callable[[str], Sequence[str] | None]


def plain_name(name: str, kernel: str | None) -> str:
    """Return a name without ``.tcz``, its ``-KERNEL`` replaced when the kernel is known."""
    name = name.removesuffix(".tcz")
    if kernel is not None and name.endswith("-KERNEL"):
        return f"{name.removesuffix('KERNEL')}{kernel}"
    return name


class Walk:
    """A depth first walk without recursion: chains may be longer than Python's stack is deep.

    ``order`` is the load order so far, ``missing`` maps names nobody has to the chains that lead there,
    ``cycles`` maps the entrance of each cycle to it, ``direct`` holds what each package needs itself.
    """

    def __init__(self, needs: Needs, kernel: str | None) -> None:
        """``needs`` is asked once for each plain name."""
        self._needs = needs
        self._kernel = kernel
        self.order: list[str] = []
        self.missing: dict[str, tuple[str, ...]] = {}
        self.cycles: dict[str, tuple[str, ...]] = {}
        self.direct: dict[str, tuple[str, ...]] = {}

    def visit(self, start: str) -> None:
        """Add ``start`` and all that it needs."""
        stack: list[tuple[str, Iterator[str]]] = []
        path: dict[str, int] = {}
        self._enter(start, stack, path)
        while stack:
            name, rest = stack[-1]
            need = next(rest, None)
            if need is None:
                stack.pop()
                del path[name]
                self.order.append(name)
            elif need in path:
                # one cycle for each entrance: all of them could be exponentially many
                chain = [entry for entry, _ in stack[path[need] :]]
                self.cycles.setdefault(need, (*chain, need))
            else:
                self._enter(need, stack, path)

    def _enter(self, name: str, stack: list[tuple[str, Iterator[str]]], path: dict[str, int]) -> None:
        if name in self.direct or name in self.missing:
            return
        found = self._needs(name)
        if found is None:
            self.missing[name] = (*(entry for entry, _ in stack), name)
            return
        direct = tuple(dict.fromkeys([plain_name(need, self._kernel) for need in found]))
        self.direct[name] = direct
        path[name] = len(stack)
        stack.append((name, reversed(direct)))
