"""Upstreams over TLS: who vouches for a server, and where it may lead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tcz.websession import VARIABLES
from tests.cases.commandline import Home
from tests.unit.mirror_made import quick_folder
from tests.unit.repository_made import TCZ, index, put
from tests.unit.tls_made import Authority, serving_tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("127.0.0.1", "localhost")
#: What the machine of the tests believes does not count.
NOBODY = dict.fromkeys(VARIABLES, "")


@pytest.fixture
def home() -> Iterator[Home]:
    with quick_folder() as folder:
        put(folder / "theirs" / TCZ, "app", ["lib"])
        put(folder / "theirs" / TCZ, "lib")
        index(folder / "theirs" / TCZ)
        home = Home(folder / "home")
        assert home.tcz("mirror", "init", "m").returncode == 0
        yield home


@pytest.fixture
def authority(home: Home) -> Authority:
    return Authority(home.folder / "tls", "ours")


def theirs(home: Home) -> Path:
    return home.folder.parent / "theirs"


def packages(home: Home) -> int:
    told = json.loads(home.tcz("mirror", "status", "--json", "-m", "m").stdout)
    return int(told["branches"][0]["packages"])


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "mirror.toml", "config.toml"])
def test_an_authority_that_is_named_is_believed(variable: str, home: Home, authority: Authority) -> None:
    with serving_tls(theirs(home), authority.certificate(*NAMES)) as address:
        env, asked = NOBODY, ("--mirror", address, "--branch", "17.x/x86_64")
        if variable == "mirror.toml":
            table = f'[[upstream]]\nname = "theirs"\nurl = "{address}"\nca = "{authority.file}"\n'
            with (home.folder / "m/mirror.toml").open("a") as file:
                file.write(table)
        elif variable == "config.toml":
            config = home.folder / ".config/tcz/config.toml"
            config.parent.mkdir(parents=True)
            config.write_text(f'[[mirror]]\nname = "t"\nurl = "{address}"\nca = "{authority.file}"\n')
        else:
            env = {**NOBODY, variable: str(authority.file)}
        done = home.tcz("mirror", "sync", "app", "--from", address, "-m", "m", env=env)
        assert (done.returncode, "2 copied" in done.stdout) == (0, True), done.stderr
        if variable != "mirror.toml":
            done = home.tcz("list", *asked, env=env)
            assert (done.returncode, done.stdout) == (0, "app\nlib\n"), done.stderr
        if variable in ("mirror.toml", "SSL_CERT_FILE"):
            for damaged in (home.folder / "m").rglob("app.tcz"):
                damaged.write_bytes(b"damaged")
            more = () if variable == "mirror.toml" else ("--from", address)
            done = home.tcz("mirror", "repair", *more, "-m", "m", env=env)
            assert done.returncode == 0, done.stdout + done.stderr


def refused(home: Home, address: str, words: str, env: dict[str, str]) -> None:
    done = home.tcz("mirror", "sync", "app", "--from", address, "-m", "m", env=env)
    assert done.returncode == 4, done.stderr
    said = done.stderr.splitlines()
    assert sum("not believed" in line for line in said) == 1, done.stderr
    assert any(words in line for line in said), done.stderr
    assert "Traceback" not in done.stderr
    assert packages(home) == 0


def test_certificates_that_are_not_believed(home: Home, authority: Authority) -> None:
    stranger = Authority(home.folder / "tls", "stranger")
    env = {**NOBODY, "SSL_CERT_FILE": str(authority.file)}
    for certificate, words in (
        (stranger.certificate(*NAMES), "unable to get local issuer certificate"),
        (authority.certificate(*NAMES, days=-1), "certificate has expired"),
        (authority.certificate("tc.example.org"), "IP address mismatch"),
    ):
        with serving_tls(theirs(home), certificate) as address:
            refused(home, address, words, env)
            if "mismatch" in words:
                refused(home, address.replace("127.0.0.1", "localhost"), "Hostname mismatch", env)
            if "issuer" in words:
                refused(home, address, words, NOBODY)
                # packages come by connections of their own
                done = home.tcz("list", "--mirror", f"{address}/{TCZ}", env=env)
                assert (done.returncode, "not believed" in done.stderr) == (4, True)
    # who speaks no TLS
    with serving_tls(theirs(home), None) as address:
        done = home.tcz("mirror", "sync", "app", "--from", address.replace("http:", "https:"), "-m", "m")
        assert (done.returncode, "Traceback" in done.stderr) == (4, False)


def test_files_that_hold_no_authority(home: Home, authority: Authority) -> None:
    (home.folder / "text").write_text("nothing")
    (home.folder / "half").write_bytes(authority.file.read_bytes()[:200])
    with serving_tls(theirs(home), authority.certificate(*NAMES)) as address:
        for name, code, words in (
            ("gone", 2, "gone holds no certificates"),
            ("text", 2, "SSL_CERT_FILE names it"),
            ("half", 4, "could not be read"),
        ):
            env = {**NOBODY, "SSL_CERT_FILE": str(home.folder / name)}
            done = home.tcz("mirror", "sync", "app", "--from", address, "-m", "m", env=env)
            assert (done.returncode, words in done.stderr) == (code, True), done.stderr
            assert "Traceback" not in done.stderr


def test_a_server_may_lead_to_https_and_not_from_it(home: Home, authority: Authority) -> None:
    env = {**NOBODY, "SSL_CERT_FILE": str(authority.file)}
    certificate = authority.certificate(*NAMES)
    words = ("mirror", "sync", "app", "-m", "m", "--from")
    with serving_tls(theirs(home), None) as plain, serving_tls(theirs(home), certificate, plain) as led:
        done = home.tcz(*words, led, env=env)
        assert (done.returncode, "leads from https" in done.stderr) == (4, True), done.stderr
        assert packages(home) == 0
    with (
        serving_tls(theirs(home), certificate) as safe,
        serving_tls(theirs(home), certificate, safe) as led,
        serving_tls(theirs(home), None, led) as plain,
    ):
        done = home.tcz(*words, plain, env=env)
        assert (done.returncode, "2 copied" in done.stdout) == (0, True), done.stderr
