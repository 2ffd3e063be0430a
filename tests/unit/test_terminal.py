from __future__ import annotations

import os
import pty
import socket
import termios
import threading
import time
from typing import TYPE_CHECKING

import pytest

from remaster.serial import Console
from remaster.terminal import attach, printer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[Console, socket.socket]]:
    ours, theirs = socket.socketpair()
    with Console(ours) as console, theirs:
        yield console, theirs


def test_keys_reach_the_machine_raw_and_the_terminal_is_restored(ends: tuple[Console, socket.socket]) -> None:
    console, machine = ends
    keyboard, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    left: list[bool] = []
    thread = threading.Thread(target=lambda: left.append(attach(console, lambda: True, source=terminal)))
    thread.start()
    while termios.tcgetattr(terminal) == before:
        pass
    os.write(keyboard, "ls é\r\x03".encode())
    got = b""
    while not got.endswith(b"\x03"):
        got += machine.recv(100)
    assert got == "ls é\r\x03".encode()
    os.write(keyboard, b"\x1d")
    thread.join()
    assert left == [True]
    assert termios.tcgetattr(terminal) == before
    os.close(keyboard)
    os.close(terminal)


def test_a_terminal_that_is_closed_is_left(ends: tuple[Console, socket.socket]) -> None:
    console, _ = ends
    keyboard, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    deadline = time.monotonic() + 30
    left: list[bool] = []
    thread = threading.Thread(
        target=lambda: left.append(attach(console, lambda: time.monotonic() < deadline, source=terminal))
    )
    thread.start()
    while termios.tcgetattr(terminal) == before:
        pass
    os.close(keyboard)
    thread.join()
    assert left == [True]
    os.close(terminal)


def test_it_ends_with_the_machine_though_the_input_ended_before(ends: tuple[Console, socket.socket]) -> None:
    console, machine = ends
    reading, writing = os.pipe()
    os.write(writing, b"hello\n")
    os.close(writing)
    answers = iter([True] * 4 + [False])
    assert attach(console, lambda: next(answers), source=reading) is False
    assert machine.recv(100) == b"hello\n"
    os.close(reading)


def test_what_the_machine_says_is_shown() -> None:
    reading, writing = os.pipe()
    printer(writing)("one\r\n\x1b[1mtwo")
    assert os.read(reading, 100) == b"one\r\n\x1b[1mtwo"
    os.close(reading)
    os.close(writing)
