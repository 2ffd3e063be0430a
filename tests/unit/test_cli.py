from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from tcz import __version__, clikit, commands, doctor, lock
from tcz.cli import cli
from tcz.errors import BuildError, ConfigError, ToolkitError
from tcz.paths import Dirs
from tcz.store import sha256_file

if TYPE_CHECKING:
    from click.testing import Result

TOP = Path(__file__).parents[2]
RECIPE = """\
schema = 1
name = "{name}"
version = "1.2"
summary = "What {name} is"
license = "MIT"
homepage = "https://example.org/"
[[package]]
name = "{name}"
files = ["usr/local/bin/{name}"]
needs = {needs}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recipes, in a home of its own, without those that ship."""
    for key in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(key, str(tmp_path / key))
    monkeypatch.setattr(commands, "standard_folders", tuple)
    recipes = tmp_path / "recipes"
    for name, needs in (("top", ["left", "right"]), ("left", ["base"]), ("right", ["base"]), ("base", [])):
        (recipes / name).mkdir(parents=True)
        (recipes / name / "recipe.toml").write_text(RECIPE.format(name=name, needs=needs))
        (recipes / name / "build.sh").write_text("true\n")
    return recipes


def tcz(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="tcz", catch_exceptions=False)


def test_version_in_a_real_process() -> None:
    code = "from tcz.cli import main; main()"
    argv = [sys.executable, "-X", "importtime", "-c", code, "--version"]
    env = {**os.environ, "PYTHONPATH": str(TOP)}
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=env)
    assert done.stdout == f"tcz {__version__}\n"
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint({"rich", "requests", "tcz.workshop", "tcz.recipe", "tcz.doctor"})


def test_terminated_by_a_signal() -> None:
    code = (
        "import click, time, sys\n"
        "from tcz import clikit\n"
        "group = clikit.Group('x')\n"
        "@group.command()\n"
        "def wait():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "clikit.run(group, 'x')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(TOP)}
    for number in (signal.SIGINT, signal.SIGTERM):
        argv = [sys.executable, "-c", code, "wait"]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert err.strip() == "interrupted; nothing half-written was kept; run again to resume"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BuildError("it broke", where="a.log", why="line 1\nline 2", hint="read it"), 8,
         "a.log: it broke\n  line 1\n  line 2\n  -> read it\n"),
        (ToolkitError("odd"), 1, "odd\n"),
        (KeyboardInterrupt(), 130, "interrupted; nothing half-written was kept; run again to resume\n"),
        (OSError(errno.ENOSPC, "x", "/full"), 7,
         "/full: the disk is full\n  -> free some space, then run again\n"),
    ],
)  # fmt: skip
def test_errors_become_lines_and_codes(error: BaseException, code: int, said: str) -> None:
    group = clikit.Group("x")
    inner = clikit.Group("inner")
    group.add_command(inner)

    @inner.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(group, ["inner", "fail"], catch_exceptions=False)
    assert (result.exit_code, result.stderr, result.stdout) == (code, said, "")


def test_other_errors_are_not_hidden() -> None:
    group = clikit.Group("x")

    @group.command()
    def fail() -> None:
        raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"):
        CliRunner().invoke(group, ["fail"], catch_exceptions=False)


def every_command(group: click.Group, names: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += every_command(command, (*names, name))
        else:
            found.append((*names, name))
    return found


@pytest.mark.parametrize("names", every_command(cli), ids=" ".join)
def test_help_has_examples_and_exit_codes(names: tuple[str, ...]) -> None:
    result = tcz(*names, "--help")
    assert result.exit_code == 0
    assert "Examples:\n  " in result.stdout
    assert f"tcz {' '.join(names)}" in result.stdout
    assert "Exit codes:\n  0 " in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_unknown_command_and_option() -> None:
    assert tcz("biuld").exit_code == 2
    assert tcz("build", "--fast").exit_code == 2


def test_recipe_list(folder: Path) -> None:
    assert tcz("recipe", "list", "--recipes", folder).stdout.splitlines()[0] == "base   1.2  What base is"
    found = json.loads(tcz("recipe", "list", "--recipes", folder, "--json").stdout)
    assert [one["name"] for one in found] == ["base", "left", "right", "top"]
    (folder / "left" / "recipe.toml").write_text("name = 3\n")
    result = tcz("recipe", "list", "--recipes", folder)
    assert result.exit_code == 2
    assert "top" in result.stdout
    assert "left/recipe.toml:1: name: expected a string, found 3" in result.stderr


def test_recipe_show(folder: Path) -> None:
    result = tcz("recipe", "show", "top", "--recipes", folder)
    assert result.stdout.startswith(f'# {folder / "top"}\nschema = 1\nname = "top"\n')
    assert json.loads(tcz("recipe", "show", "top", "--recipes", folder, "--json").stdout)["version"] == "1.2"
    result = tcz("recipe", "show", "lfet", "--recipes", folder)
    assert result.exit_code == 2
    assert result.stderr.endswith("-> did you mean 'left'?\n")


def test_recipe_lint(folder: Path) -> None:
    assert tcz("recipe", "lint", "--recipes", folder).stdout == "4 recipes are right\n"
    assert tcz("recipe", "lint", "top", "--recipes", folder).stdout == "1 recipe is right\n"
    (folder / "base" / "recipe.toml").write_text(RECIPE.format(name="base", needs=["nobody"]))
    (folder / "left" / "build.sh").unlink()
    result = tcz("recipe", "lint", "--recipes", folder)
    assert result.exit_code == 2
    assert "left/build.sh: is missing" in result.stderr
    assert "package base: no recipe makes 'nobody', which it needs" in result.stderr
    assert tcz("recipe", "lint", "nobody", "--recipes", folder).exit_code == 2


def test_deps(folder: Path) -> None:
    assert tcz("deps", "top", "--recipes", folder).stdout.split() == ["base", "right", "left", "top"]
    assert tcz("deps", "top", "--recipes", folder, "--tree").stdout == (
        "top\n|-- left\n|   `-- base\n`-- right\n    `-- base\n"
    )
    assert tcz("deps", "top", "--recipes", folder, "--why", "base").stdout == "top -> left -> base\n"
    told = json.loads(tcz("deps", "top", "--recipes", folder, "--json", "--why", "base").stdout)
    assert told["order"] == ["base", "right", "left", "top"]
    assert told["why"] == ["top", "left", "base"]
    result = tcz("deps", "left", "--recipes", folder, "--why", "right")
    assert (result.exit_code, result.stderr) == (2, "left does not need 'right'\n")
    result = tcz("deps", "tpo", "--recipes", folder)
    assert result.exit_code == 2
    assert "did you mean 'top'?" in result.stderr


def test_deps_tells_what_is_missing_and_what_goes_round(folder: Path) -> None:
    (folder / "base" / "recipe.toml").write_text(RECIPE.format(name="base", needs=["nobody", "left"]))
    result = tcz("deps", "top", "--recipes", folder)
    assert result.exit_code == 2
    assert result.stdout.split()[-1] == "top"
    assert "-> base -> nobody: no recipe makes 'nobody'" in result.stderr
    assert "warning: goes round: " in result.stderr


@pytest.mark.build
def test_build_dry_run(folder: Path) -> None:
    result = tcz("build", "top", "--dry-run", "--recipes", folder, "--progress", "none")
    assert sorted(result.stdout.splitlines()) == [
        "base   1.2  to be built: it has not been built here before",
        "left   1.2  to be built: it has not been built here before",
        "right  1.2  to be built: it has not been built here before",
        "top    1.2  to be built: it has not been built here before",
    ]
    found = json.loads(tcz("build", "--all", "--dry-run", "--json", "--recipes", folder).stdout)
    assert {one["recipe"]["name"]: one["cached"] for one in found} == dict.fromkeys(
        ("base", "left", "right", "top"), False
    )


@pytest.mark.build
def test_build_for_real(folder: Path) -> None:
    (folder / "base" / "build.sh").write_text(
        'mkdir -p "$DEST/usr/local/bin"; echo "$VERSION" >"$DEST/usr/local/bin/base"\n'
    )
    lock_file = folder.parent / "a.lock"
    args = ("build", "base", "--recipes", folder, "--progress", "plain")
    result = tcz(*args, "--write-lock", lock_file)
    assert result.exit_code == 0, result.stderr
    path = Path(result.stdout.strip())
    assert path.name == "base.tcz"
    assert "base 1.2: done" in result.stderr
    locked = lock.read(lock_file)
    assert [(p.name, p.sha256) for p in locked.packages] == [("base", sha256_file(path))]
    assert locked.debian
    again = tcz(*args, "--lock", lock_file, "--json")
    assert json.loads(again.stdout)[0]["packages"][0]["path"] == str(path)
    assert "done" not in again.stderr
    assert tcz("log", "base", "--path").exit_code == 0


@pytest.mark.parametrize("command", ["build", "fetch"])
def test_names_that_are_wrong_are_all_told(folder: Path, command: str) -> None:
    result = tcz(command, "tpo", "left", "zzzzzz", "--recipes", folder)
    assert result.exit_code == 2
    assert "tpo: neither a recipe nor a package (did you mean 'top'?)" in result.stderr
    assert "zzzzzz: neither a recipe nor a package" in result.stderr
    assert "left:" not in result.stderr
    assert tcz(command, "--recipes", folder).exit_code == 2


def test_build_reads_the_lock_first(folder: Path) -> None:
    (folder.parent / "bad.lock").write_text("{}")
    result = tcz("build", "top", "--lock", folder.parent / "bad.lock", "--recipes", folder)
    assert result.exit_code == 2
    assert "the key 'recipes' is missing" in result.stderr


def test_log(folder: Path) -> None:
    result = tcz("log", "top")
    assert result.exit_code == 2
    assert "there is no log of 'top'" in result.stderr
    logs = Dirs.from_env().state / "logs"
    logs.mkdir(parents=True)
    for n, name in enumerate(("top-aaaa.log", "top-bbbb.log", "top-er-cccc.log")):
        (logs / name).write_text("".join(f"{name} {line}\n" for line in range(5)))
        os.utime(logs / name, (n, n))
    assert tcz("log", "top", "-n", "2").stdout == "top-bbbb.log 3\ntop-bbbb.log 4\n"
    assert tcz("log", "top", "--path").stdout == f"{logs / 'top-bbbb.log'}\n"
    assert tcz("log", "top", "-n", "0").stdout == ""
    assert folder.exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    assert "_TCZ_COMPLETE" in tcz("completion", shell).stdout


def test_completion_of_recipe_names(folder: Path) -> None:
    env = {
        "COMP_WORDS": f"tcz build --recipes {folder} l",
        "COMP_CWORD": "4",
        "_TCZ_COMPLETE": "bash_complete",
    }
    result = CliRunner(env=env).invoke(cli, [], prog_name="tcz")
    assert result.stdout == "plain,left\n"


def test_cache(folder: Path) -> None:
    dirs = Dirs.from_env()
    (dirs.cache_folder("builds") / "x").write_bytes(b"x" * 10_000)
    result = tcz("cache", "status")
    assert result.stdout.splitlines()[0] == str(dirs.cache)
    assert json.loads(tcz("cache", "status", "--json").stdout)[0]["name"] == "builds"
    assert tcz("cache", "clean", "bilds").exit_code == 2
    assert tcz("cache", "clean").stdout.endswith(" freed\n")
    assert not (dirs.cache / "builds").exists()
    assert folder.exists()


def test_doctor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = doctor.Check(name="bwrap", ok=False, detail="not installed", hint="install it")
    monkeypatch.setattr(doctor, "examine", lambda _dirs, _runner: (bad,))
    result = tcz("doctor")
    assert result.exit_code == 6
    assert "MISSING bwrap" in result.stdout
    result = tcz("doctor", "--json")
    assert (result.exit_code, json.loads(result.stdout)[0]["name"]) == (6, "bwrap")
    assert folder.exists()


def test_sizes_and_columns() -> None:
    assert [clikit.size_text(n) for n in (0, 999, 1000, 12_345_678, 2_500_000_000)] == [
        "0 B", "999 B", "1.0 kB", "12.3 MB", "2.5 GB",
    ]  # fmt: skip
    assert clikit.columns([("a", "b"), ("ccc", "")]) == ("a    b", "ccc")
    assert clikit.columns([]) == ()


def test_limit_processors() -> None:
    code = (
        "import os; from tcz.commands import limit_processors as l; l(1); print(len(os.sched_getaffinity(0)))"
    )
    env = {**os.environ, "PYTHONPATH": str(TOP)}
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=env).stdout
        == b"1\n"
    )


def test_nothing_named() -> None:
    with pytest.raises(ConfigError, match="nothing was named"):
        commands.recipes_named(commands.Recipes([]), [])
