"""Whether the states of a mirror are signed as its configuration says, for those who look after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz.errors import VerifyError
from tcz.mirror import catalogue as catalogues
from tcz.mirror import trust
from tcz.mirror.publish import KEYS
from tcz.mirror.sign import PublicKey, signer
from tcz.mirror.signing import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tcz.mirror.config import Config
    from tcz.mirror.model import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The signature of a state: ``key`` is the id of who made it, ``name`` what the mirror calls that key.

    ``fault`` says what is wrong with it; ``checked`` tells whether there was a key to find out.
    """

    key: str = ""
    name: str = ""
    fault: str = ""
    checked: bool = False


def look(state: Path, config: Config, *, now: bool) -> Signature:
    """Return what is to be said of a state's signature; ``now``: keys that it calls void do not count."""
    files = {f"{KEYS}/{file.name}": file.read_bytes() for file in sorted((state / KEYS).glob("*"))}
    try:
        signature = (state / catalogues.SIGNATURE).read_bytes()
    except FileNotFoundError:
        return Signature(fault="is not there")
    try:
        key = signer(signature, catalogues.SIGNATURE)
    except VerifyError as error:
        return Signature(fault=error.what, checked=True)
    name = _name(key, files)
    keys = keys_of(config)
    if not keys:
        return Signature(key=key, name=name)
    try:
        gone = trust.revoked(keys, files) if now else frozenset[str]()
        if key in gone:
            return Signature(key=key, name=name, fault=f"is of the key {key}, which is revoked", checked=True)
        root = (state / catalogues.ROOT).read_bytes()
        trust.check(root, signature, trust.grown(keys, files, gone), 0)
    except (VerifyError, FileNotFoundError) as error:
        fault = error.what if isinstance(error, VerifyError) else "speaks of a catalogue that is gone"
        return Signature(key=key, name=name, fault=fault, checked=True)
    return Signature(key=key, name=name, checked=True)


def _name(key: str, files: Mapping[str, bytes]) -> str:
    for path, data in files.items():
        if path.endswith(".pub"):
            try:
                public = PublicKey.parse(data.decode("ascii", "replace"), path)
            except VerifyError:
                continue
            if public.name == key:
                return path.removeprefix(f"{KEYS}/").removesuffix(".pub")
    return ""


def faults(
    states: Mapping[Path, Catalogue], config: Config, shown: Path | None
) -> Iterator[tuple[Path, str]]:
    """Return the states whose signature clients refuse, and why; none for a mirror without keys.

    A state from before the mirror was signed has no public keys, and needs no signature.
    """
    if not config.keys:
        return
    for state, catalogue in states.items():
        found = look(state, config, now=state == shown)
        signed = any(path.startswith(f"{KEYS}/") for path in catalogue.extra)
        if found.fault and (found.key or found.checked or signed or state == shown):
            yield state, found.fault
