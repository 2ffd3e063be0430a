from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from remaster.serial import Console, ConsoleError, Pipes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pair() -> Iterator[tuple[Console, socket.socket]]:
    ours, theirs = socket.socketpair()
    with Console(ours) as console, theirs:
        yield console, theirs


@pytest.fixture(params=["sh", "busybox sh"])
def shell(request: pytest.FixtureRequest) -> Iterator[tuple[Console, socket.socket]]:
    """Run a real shell on a terminal with echo, behind a socket as QEMU would give us."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        request.param.split(),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env={"PATH": os.defpath, "PS1": "tc@box:~$ ", "TERM": "vt100"},
    ) as process:
        os.close(follower)
        ours, theirs = socket.socketpair()
        stop, wake = os.pipe()

        def pump() -> None:
            while True:
                ready, _, _ = select.select([leader, theirs, stop], [], [])
                if stop in ready:
                    return
                if leader in ready:
                    said = os.read(leader, 4096)
                    with contextlib.suppress(BrokenPipeError):  # the console was closed
                        theirs.sendall(said)
                if theirs in ready:
                    os.write(leader, theirs.recv(4096))

        thread = threading.Thread(target=pump)
        thread.start()
        try:
            with Console(ours) as console:
                yield console, theirs
        finally:
            # A terminal whose last process has ended cannot be read.
            os.write(wake, b"x")
            thread.join()
            process.kill()
            for number in (leader, stop, wake):
                os.close(number)
            theirs.close()


def test_commands_give_status_and_output(shell: tuple[Console, socket.socket]) -> None:
    console, _ = shell
    console.expect(r"tc@box:~\$ ", 10)
    assert console.run("echo hello; false", 10) == (1, "hello\n")
    assert console.run("printf 'no line end'", 10) == (0, "no line end")
    assert console.run("true", 10) == (0, "")
    assert console.run("exit_with() { return $1; }\nexit_with 42 # a remark", 10) == (42, "")
    assert console.run("for i in 1 2 3; do\necho $i\ndone", 10) == (0, "1\n2\n3\n")
    assert console.run("seq 2000", 20)[1].splitlines()[-1] == "2000"


def test_messages_of_the_kernel_are_left_out(pair: tuple[Console, socket.socket]) -> None:
    console, machine = pair
    console_run: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: console_run.append(console.run("x", 10)))
    thread.start()
    line = machine.makefile("r").readline()
    mark = line.split("'")[5]
    noise = "[   12.345678] usb 1-1: new device\r\n"
    said = f"$ {line}\r\n> }}\r\n{noise}@BEGIN-{mark}{noise}\r\n"
    said += f"ou{noise}tput\r\n[    1.000000][    T1] x\r\nrest"
    machine.sendall(f"{said}\r\n@END-{mark}-7.{noise}\r\n$ ".encode())
    thread.join()
    assert console_run == [(7, "output\nrest")]


def test_a_panic_ends_the_wait_for_a_command(shell: tuple[Console, socket.socket]) -> None:
    console, _ = shell
    console.expect(r"tc@box:~\$ ", 10)
    # Whoever reads of one is not meant.
    assert console.run("echo 'a word of Kernel panic - not syncing: x'", 10)[0] == 0
    panic = "[   98.113495] Kernel panic - not syncing: Fatal exception"
    with pytest.raises(ConsoleError, match="Kernel panic - not syncing' while"):
        console.run(f"echo '{panic}'; sleep 100", 60)


def test_expect_goes_forward(pair: tuple[Console, socket.socket]) -> None:
    console, machine = pair
    machine.sendall(b"login: \r\nfloe v1\r\nlogin: ")
    assert console.expect(r"^login: $", 5).group() == "login: "
    assert console.expect(r"v(\d)", 5)[1] == "1"
    console.expect("login: ", 5)
    with pytest.raises(ConsoleError, match=r"did not say 'login: ' within 0.05 s"):
        console.expect("login: ", 0.05)


def test_the_error_shows_the_last_lines(pair: tuple[Console, socket.socket]) -> None:
    console, machine = pair
    machine.sendall("".join(f"line {number}\n" for number in range(100)).encode())
    console.expect("line 99", 5)
    with pytest.raises(ConsoleError) as caught:
        console.expect("never", 0.01)
    shown = (caught.value.why or "").splitlines()
    assert (shown[1], shown[-1], len(shown)) == ("line 60", "line 99", 41)


def test_a_bad_sign_ends_the_wait(pair: tuple[Console, socket.socket]) -> None:
    console, machine = pair
    machine.sendall(b"Kernel panic - not syncing\n")
    with pytest.raises(ConsoleError, match="said 'Kernel panic'"):
        console.expect("login:", 60, never="Kernel panic")


def test_hanging_up_ends_the_wait(pair: tuple[Console, socket.socket]) -> None:
    console, machine = pair
    machine.sendall(b"bye")
    machine.close()
    console.expect("bye", 5)
    with pytest.raises(ConsoleError, match="hung up"):
        console.expect("more", 60)
    with pytest.raises(ConsoleError, match="hung up"):
        console.send("x" * 100_000)
    assert console.transcript == "bye"


def test_escapes_and_characters_may_come_in_pieces(pair: tuple[Console, socket.socket]) -> None:
    console, machine = pair
    for piece in (b"a\x1b", b"[1;3", b"1mb\x1b[6nc\xc3", b"\xa9", b"\xffd\n"):
        machine.sendall(piece)
        console.expect("", 1)
    console.expect("\n", 5)
    assert console.transcript == "abcé\ufffdd\n"


def test_the_listener_hears_all() -> None:
    heard: list[str] = []
    ours, machine = socket.socketpair()
    with Console(ours, heard.append) as console, machine:
        machine.sendall(b"hello")
        console.expect("hello", 5)
    assert "".join(heard) == "hello"


def test_pipes_keep_what_nobody_reads_in_time(tmp_path: Path) -> None:
    """Each character is written for itself, as QEMU does, which drops what cannot be written soon."""
    pipes = Pipes(tmp_path / "serial")
    assert not pipes.opened()
    its_in = os.open(tmp_path / "serial.in", os.O_RDWR)
    its_out = os.open(tmp_path / "serial.out", os.O_RDWR | os.O_NONBLOCK)
    assert pipes.opened()
    written = 50_000
    for number in range(written):
        assert os.write(its_out, b"abcdefghi\n"[number % 10 : number % 10 + 1]) == 1
    os.write(its_out, b"# ")
    with Console(pipes) as console:
        console.expect(r"^# ", 10)
        assert len(console.transcript) == written + 2
        console.send("ls")
        assert os.read(its_in, 100) == b"ls\n"
        for handle in (its_in, its_out):
            os.close(handle)
        with pytest.raises(ConsoleError, match="hung up before"):
            console.expect("more", 10)
        with pytest.raises(ConsoleError, match="hung up"):
            console.send("ls")


def test_pipes_that_nobody_opened_are_closed(tmp_path: Path) -> None:
    with Console(Pipes(tmp_path / "serial")) as console, pytest.raises(ConsoleError, match=r"within 0\.1 s"):
        console.expect("anything", 0.1)
