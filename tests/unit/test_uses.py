"""What a build finds of others: with a real compiler and linker where it matters."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tcz import uses
from tcz.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path


def package(folder: Path, name: str, files: dict[str, str]) -> Path:
    """Lay a package out; a text that begins with -> is a link."""
    for path, text in files.items():
        place = folder / name / "usr/local" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            place.symlink_to(text.removeprefix("->"))
        else:
            place.write_text(text)
    return folder / name


def test_a_library_and_its_development_files_meet(tmp_path: Path) -> None:
    library = package(tmp_path, "x", {"lib/libx.so.1": "elf"})
    development = package(
        tmp_path,
        "x-dev",
        {"lib/libx.so": "->libx.so.1", "lib/pkgconfig/x.pc": "prefix=/usr/local\n", "include/x.h": ""},
    )
    uses.merge([library, development], tmp_path / "local")
    assert (tmp_path / "local/lib/libx.so").read_text() == "elf"
    assert (tmp_path / "local/lib/pkgconfig/x.pc").read_text() == "prefix=/build/local\n"
    assert (development / "usr/local/lib/pkgconfig/x.pc").read_text() == "prefix=/usr/local\n"


def test_links_to_folders_and_nothing_else_are_kept_as_links(tmp_path: Path) -> None:
    made = package(tmp_path, "x", {"include/real/x.h": "", "include/alias": "->real"})
    uses.merge([made], tmp_path / "local")
    assert (tmp_path / "local/include/alias").is_symlink()
    assert (tmp_path / "local/include/alias/x.h").is_file()


def test_the_same_file_twice_is_told(tmp_path: Path) -> None:
    both = [package(tmp_path, name, {"lib/libx.so.1": name}) for name in ("x", "y")]
    with pytest.raises(BuildError, match=r"libx\.so\.1") as caught:
        uses.merge(both, tmp_path / "local")
    assert caught.value.where == "y"


def test_what_has_nothing_below_usr_local_adds_nothing(tmp_path: Path) -> None:
    (tmp_path / "x/etc").mkdir(parents=True)
    uses.merge([tmp_path / "x"], tmp_path / "local")
    assert list((tmp_path / "local").iterdir()) == []


def test_compiler_and_linker_find_it_by_the_environment(tmp_path: Path) -> None:
    """A program is linked to a library that needs another one, which is not named."""
    packages = [tmp_path / name for name in ("a", "b")]
    for folder in packages:
        (folder / "usr/local/lib").mkdir(parents=True)
        (folder / "usr/local/include").mkdir()
    (packages[1] / "usr/local/include/b.h").write_text("int b(void);\n")
    (tmp_path / "a.c").write_text("int a(void) { return 42; }\n")
    (tmp_path / "b.c").write_text("int a(void);\nint b(void) { return a(); }\n")
    (tmp_path / "main.c").write_text("#include <b.h>\nint main(void) { return b(); }\n")
    for name, folder, extra in (("a", packages[0], ()), ("b", packages[1], (str(packages[0]),))):
        where = [f"-L{path}/usr/local/lib" for path in extra] + [f"-l{path[-1]}" for path in extra]
        output = folder / f"usr/local/lib/lib{name}.so"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", f"{name}.c", "-o", output, *where], cwd=tmp_path, check=True
        )
    uses.merge(packages, tmp_path / "local")
    env = {
        key: value.replace(uses.INSIDE, str(tmp_path / "local")) for key, value in uses.environment().items()
    }
    subprocess.run(
        ["gcc", "main.c", "-lb", "-o", "main"], cwd=tmp_path, check=True, env={"PATH": "/usr/bin", **env}
    )
    done = subprocess.run([tmp_path / "main"], check=False, env=env)
    assert done.returncode == 42
