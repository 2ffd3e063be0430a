"""Rust programs from crates: fetched by cargo from a registry on this machine, built without a network."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tcz.errors import ConfigError, FetchError, VerifyError
from tcz.sandbox import Bind
from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.build

DEP_LIB = 'pub fn word() -> &\'static str { concat!("from ", env!("CARGO_PKG_NAME")) }\n'
MAIN = 'fn main() { println!("{} {}", dep::word(), file!()); }\n'
TOML = '[package]\nname = "{name}"\nversion = "1.0.0"\nedition = "2021"\n'


def crate(name: str, files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, text in files.items():
            info = tarfile.TarInfo(f"{name}-1.0.0/{path}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Registry:
    """A sparse registry: files of an index, and crates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "crates").mkdir(parents=True)

        self.served = ExitStack()
        port = self.served.enter_context(loopback.serving(loopback.folder(folder)))
        self.address = f"http://127.0.0.1:{port}"
        config = {"dl": f"{self.address}/crates/{{crate}}-{{version}}.crate"}
        (folder / "config.json").write_text(json.dumps(config))

    def add(self, name: str, data: bytes, *needs: str) -> str:
        digest = hashlib.sha256(data).hexdigest()
        deps = [
            {
                "name": need, "req": "^1", "features": [], "optional": False, "default_features": True,
                "target": None, "kind": "normal",
            }
            for need in needs
        ]  # fmt: skip
        line = {"name": name, "vers": "1.0.0", "deps": deps, "cksum": digest, "features": {}, "yanked": False}
        place = f"3/{name[0]}" if len(name) == 3 else f"{name[:2]}/{name[2:4]}"
        (self.folder / place).mkdir(parents=True, exist_ok=True)
        (self.folder / place / name).write_text(json.dumps(line) + "\n")
        (self.folder / "crates" / f"{name}-1.0.0.crate").write_bytes(data)
        return digest


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Serve a registry that stands for the usual one in the user's cargo configuration."""
    made = Registry(tmp_path / "registry")
    home = tmp_path / "cargo-home"
    home.mkdir()
    (home / "config.toml").write_text(
        '[source.crates-io]\nreplace-with = "near"\n'
        f'[source.near]\nregistry = "sparse+{made.address}/"\n'
        '[build]\nrustc-wrapper = "/nowhere/wrapper"\n'
    )
    monkeypatch.setenv("CARGO_HOME", str(home))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made.add("dep", crate("dep", {"Cargo.toml": TOML.format(name="dep"), "src/lib.rs": DEP_LIB}))
    with made.served:
        yield made


def program(bench: Any, tmp_path: Path) -> dict[str, str]:
    """Return the files of a program that needs dep, with the lock that cargo itself writes for it."""
    files = {
        "Cargo.toml": TOML.format(name="prog") + '[dependencies]\ndep = "1"\n',
        "src/main.rs": MAIN,
    }
    source = tmp_path / "prog"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    cargo = bench.workshop.builder._sources._cargo
    root = cargo._roots.get(("cargo-web",))
    env = {"PATH": "/usr/bin", "CARGO_HOME": "/build/home"}
    (tmp_path / "cargo-home/lock-home").mkdir(exist_ok=True)
    text = (tmp_path / "cargo-home/config.toml").read_text().partition("[build]")[0]
    (tmp_path / "cargo-home/lock-home/config.toml").write_text(text)
    binds = [
        Bind(host=source, inside="/build/src", writable=True),
        Bind(host=tmp_path / "cargo-home/lock-home", inside="/build/home", writable=True),
    ]
    cargo._sandbox.run(root.path, ["cargo", "generate-lockfile"], binds=binds, env=env, network=True)
    return {**files, "Cargo.lock": (source / "Cargo.lock").read_text()}


HEAD = """\
schema = 1
name = "prog"
version = "1.0.0"
summary = "A test"
license = "MIT"
homepage = "https://prog.example/"
[build]
needs.debian = ["cargo-web"]
[[package]]
name = "prog"
files = ["usr"]
"""
BUILD = """\
cargo build --release --frozen
install -D target/release/prog "$DEST/usr/local/bin/prog"
"""
TEST = """\
test "$("$DEST/usr/local/bin/prog")" = "from dep src/main.rs"
! grep -q /build/ "$DEST/usr/local/bin/prog"
"""


def by_crate(digest: str) -> str:
    return f'[[source]]\nkind = "crate"\nname = "prog"\nversion = "{{version}}"\nsha256 = "{digest}"\n'


def by_lock(lock: str) -> str:
    digest = hashlib.sha256(lock.encode()).hexdigest()
    return (
        '[[source]]\nkind = "local"\npath = "files"\ndest = "in"\n'
        f'[[source]]\nkind = "cargo-lock"\npath = "in/Cargo.lock"\nsha256 = "{digest}"\n'
    )


def test_from_the_registry_to_a_program(
    bench: Callable[..., Any],
    write_recipe: Callable[..., Path],
    tmp_path: Path,
    registry: Registry,
) -> None:
    here = bench("one")
    files = program(here, tmp_path)
    digest = registry.add("prog", crate("prog", files), "dep")
    scripts = {"build.sh": BUILD, "test.sh": TEST}
    write_recipe("prog", HEAD + by_crate(digest), scripts)
    here = bench("two", tmp_path / "recipes")
    here.workshop.fetch(["prog"])
    registry.served.close()
    (built,) = here.workshop.build(["prog"])
    assert [(s.kind, s.name, s.version, s.hash) for s in built.sources] == [
        ("crate", "prog", "1.0.0", f"sha256:{digest}")
    ]
    # The same sources beside the recipe, with the lock named: the crates are there already.
    write_recipe("prog", HEAD + by_lock(files["Cargo.lock"]), {
        "build.sh": "cd in\n" + BUILD, **{f"files/{name}": text for name, text in files.items()},
    })  # fmt: skip
    here = bench("two", tmp_path / "recipes")
    (other,) = here.workshop.build(["prog"])
    assert other.sources[1].kind == "cargo-lock"


def test_what_goes_wrong(
    bench: Callable[..., Any],
    write_recipe: Callable[..., Path],
    tmp_path: Path,
    registry: Registry,
) -> None:
    here = bench("one")
    files = program(here, tmp_path)
    digest = registry.add("prog", crate("prog", files), "dep")

    def fetching(source: str, *, more: dict[str, str] | None = None) -> Any:
        write_recipe("prog", HEAD + source, {"build.sh": BUILD, **(more or {})})
        return bench("one", tmp_path / "recipes").workshop.fetch(["prog"])

    with pytest.raises(VerifyError, match=r"prog-1\.0\.0\.crate: wrong sha256"):
        fetching(by_crate("0" * 64))
    (registry.folder / "pr/og/prog").rename(tmp_path / "aside")
    with pytest.raises(FetchError, match=r"the crate prog 1\.0\.0 could not be had"):
        fetching(by_crate("1" * 64))
    (tmp_path / "aside").rename(registry.folder / "pr/og/prog")
    # Other bytes under the name of what the lock pins.
    (registry.folder / "crates/dep-1.0.0.crate").write_bytes(
        crate("dep", {"Cargo.toml": "", "src/lib.rs": ""})
    )
    with pytest.raises(FetchError, match="needs could not be had") as caught:
        fetching(by_crate(digest))
    assert "checksum" in str(caught.value.why)
    without = registry.add("lib", crate("lib", {"Cargo.toml": TOML.format(name="lib"), "src/lib.rs": ""}))
    with pytest.raises(ConfigError, match=r"has no Cargo\.lock"):
        fetching(by_crate(without).replace('"prog"', '"lib"'))
    lock = by_lock("another lock")
    with pytest.raises(VerifyError, match=r"in/Cargo\.lock: wrong sha256"):
        fetching(lock, more={f"files/{name}": text for name, text in files.items()})
