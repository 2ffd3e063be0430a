"""Damage done to files, by chance but the same every time, and readers that are given what comes of it.

A reader works in a process of its own, with little memory and little time for each file: it may give a
result or an error that is meant for a user, and nothing else.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import traceback
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NoReturn

from tcz.errors import ToolkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

#: Address space that a reader may take beyond what it has when it begins, and seconds for each file.
ROOM = 768 << 20
PATIENCE = 10
#: What damage may end with: the user's own text, the bytes, the space.
CODES = (2, 5, 7)
_NUMBERS = (0, 1, 2, 4, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_TEXTS = (
    b"\0",
    b"\n",
    b"/",
    b"..",
    b"%s",
    b"\xff\xfe",
    b"0",
    b"9" * 30,
    b"a" * 300,
    b"TRAILER!!!",
    b"070701",
)


def mutated(chance: Random, data: bytes, others: Sequence[bytes] = (), begin: int = 0) -> bytes:
    """Return ``data`` with a little damage: behind ``begin``, and more of it nearer to that."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        if len(made) <= begin:
            break
        reach = min(len(made) - begin, 1 << chance.randint(3, 20))
        at = begin + chance.randrange(reach)
        size = min(1 << chance.randint(0, 9), len(made) - at)
        kind = chance.randrange(10)
        if kind < 3:
            made[at] ^= 1 << chance.randrange(8)
        elif kind == 3:
            made[at] = chance.randrange(256)
        elif kind == 4:
            form = chance.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
            raw = struct.pack(form, chance.choice(_NUMBERS) & (1 << 8 * struct.calcsize(form)) - 1)
            made[at : at + len(raw)] = raw
        elif kind == 5:
            del made[at : at + size]
        elif kind == 6:
            made[at:at] = made[begin + chance.randrange(reach) :][:size]
        elif kind == 7:
            made[at:at] = chance.choice(_TEXTS)
        elif kind == 8 and others:
            other = chance.choice(others)
            made[at:] = other[chance.randrange(len(other)) :]
        else:
            del made[at:]
    return bytes(made)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What readers made of damaged files: how many were read, how many refused, and what else happened."""

    sound: int
    refused: int
    wrong: tuple[str, ...]

    @property
    def count(self) -> int:
        return self.sound + self.refused


def tried(count: int, look: Callable[[Random], object], *, seed: str = "", patience: int = PATIENCE) -> Told:
    """Call ``look`` with a source of chance, ``count`` times, in a process with little memory."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        os.close(reader)
        _work(count, look, seed, writer, patience)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        said = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if not said:
        return Told(sound=0, refused=0, wrong=(f"the reader ended with {status}",))
    found = json.loads(said)
    return Told(sound=found["sound"], refused=found["refused"], wrong=tuple(found["wrong"]))


def _work(count: int, look: Callable[[Random], object], seed: str, writer: int, patience: int) -> NoReturn:
    found: dict[str, int] = {"sound": 0, "refused": 0}
    wrong: list[str] = []
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
        signal.signal(signal.SIGALRM, _late)
        for number in range(count):
            signal.alarm(patience)
            try:
                look(Random(f"{seed} {number}"))
                found["sound"] += 1
            except ToolkitError as error:
                if not error.what or error.exit_code not in CODES:
                    raise
                found["refused"] += 1
        signal.alarm(0)
    except BaseException:  # noqa: BLE001 - told to the test
        wrong.append(f"number {number}: {traceback.format_exc()[-3000:]}")
    finally:
        signal.alarm(0)
        with os.fdopen(writer, "wb") as out:
            out.write(json.dumps({**found, "wrong": wrong}).encode())
        os._exit(0)


def _late(_number: int, _frame: FrameType | None) -> NoReturn:
    raise AssertionError("no end in sight")
