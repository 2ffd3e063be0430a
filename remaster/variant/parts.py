"""What a variant's tables come to: files, packages, services, boot codes."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    """A file that goes into the root: ``path`` without leading slash, ``owner`` as ``user:group``."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root:root"
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A file that the base must have: ``path``, and what to say where it has none."""

    path: str
    where: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What a part of a variant asks for.

    ``first`` are services that start before those the variant names, ``services`` those that start after.
    ``made`` are packages that no recipe makes, since they are made for this image.
    """

    files: tuple[FileSpec, ...] = ()
    packages: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    boot_codes: tuple[str, ...] = ()

    def __add__(self, other: Effects) -> Effects:
        """Return both, each package and service once."""
        both = {
            field.name: tuple(dict.fromkeys((*getattr(self, field.name), *getattr(other, field.name))))
            for field in fields(self)
        }
        return Effects(**both)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What an image is made of, as far as a variant's tables care, without what these add themselves."""

    base: str = "floe"
    packages: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    @property
    def own(self) -> bool:
        """Whether the base is ours."""
        return self.base == "floe"

    def has(self, *names: str) -> bool:
        """Tell whether one of these packages is there."""
        return any(name in self.packages for name in names)


#: Of a field that people put secrets into: `remaster.asked` tells it by a slow hash only.
PRIVATE = {"private": True}
#: Packages that bring an engine, by the engine's name.
ENGINES = ("docker", "podman")
#: Packages whose programs read /etc/containers.
CONTAINERS_READERS = ("podman", "podman-engine", "buildah", "skopeo")
