"""What Tiny Core's own scripts read of a mirror, parsed as they do: awk and sh under BusyBox.

Each check is the parsing rule of one script, written down anew: what it fetches, how it cuts lines apart,
what it compares. They run over a mirror that this toolkit made, and say what the script would have found.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.unit.mirror_made import BRANCH, added, begun, package

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Sh = Callable[..., list[str]]

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="no busybox")

KERNEL = "6.18.2-tinycore64"


@pytest.fixture(scope="module")
def tcz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of packages of a mirror."""
    folder = tmp_path_factory.mktemp("clients")
    mirror = begun(folder / "m")
    files = [
        package(folder / "in", "app", "libapp", "sound-KERNEL", "zstd", tags="editor  text"),
        package(folder / "in", "app-doc", tags="manual text"),
        package(folder / "in", "libapp", "Base"),
        package(folder / "in", "Base"),
        package(folder / "in", "zstd", "Base", tags=" compression"),
        package(folder / "in", f"sound-{KERNEL}", "Base"),
    ]
    # As they come from elsewhere: nothing of this may reach a client.
    (folder / "in/app.tcz.dep").write_bytes(b" libapp.tcz \r\nsound-KERNEL.tcz\n\nzstd")
    added(mirror, *files)
    return mirror.public / BRANCH.folder


@pytest.fixture
def sh(tcz: Path) -> Sh:
    """Run a script in the folder of packages, every program of it BusyBox's; return its lines."""

    def run(script: str, *args: str) -> list[str]:
        programs = ("awk", "cat", "cut", "grep", "gunzip", "md5sum", "sed", "sort", "tr", "uniq", "zcat")
        uses = "".join(f'{name}() {{ busybox {name} "$@"; }}\n' for name in programs)
        done = subprocess.run(
            ["busybox", "sh", "-euc", uses + script, "sh", *args],
            cwd=tcz,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.splitlines()

    return run


#: tce-load: of each line blanks and tabs vanish, empty ones are passed over, the first -KERNEL.tcz becomes
#: the running kernel's; what is left is asked for by name, before the package itself.
LOAD = r"""
kernel=$1; shift
load() {
  if [ -f "$1.dep" ]; then
    for need in $(awk -v kernel="$kernel" '
      { gsub(/[ \t]/, "") }
      /^$/ { next }
      { sub(/-KERNEL\.tcz/, "-" kernel ".tcz"); print }' "$1.dep"); do
      load "$need"
    done
  fi
  case " $loaded " in *" $1 "*) return 0;; esac
  loaded="$loaded $1"
  md5sum -c "$1.md5.txt" >/dev/null || { echo "bad $1"; return 1; }
  echo "$1"
}
loaded=
load "$1"
"""


def test_tce_load(sh: Sh) -> None:
    assert sh(LOAD, KERNEL, "app.tcz") == [
        "Base.tcz",
        "libapp.tcz",
        f"sound-{KERNEL}.tcz",
        "zstd.tcz",
        "app.tcz",
    ]
    assert sh(LOAD, KERNEL, "Base.tcz") == ["Base.tcz"]


def test_a_dep_is_read_alike_by_every_way_to_read_it(sh: Sh) -> None:
    by_words = sh('for need in $(cat "$1"); do echo "$need"; done', "app.tcz.dep")
    by_lines = sh('while IFS= read -r need; do echo "$need"; done < "$1"', "app.tcz.dep")
    by_awk = sh("""awk '{gsub(/[ \\t]/,"")} /^$/{next} {print}' "$1" """, "app.tcz.dep")
    assert by_words == by_lines == by_awk == ["libapp.tcz", "sound-KERNEL.tcz", "zstd.tcz"]


def test_names_are_safe_in_an_unquoted_shell(sh: Sh) -> None:
    assert sh("cat *.dep | grep -Evc '^[A-Za-z0-9][A-Za-z0-9+._-]*\\.tcz$' || true") == ["0"]


def test_md5sum_accepts_every_md5_txt(sh: Sh, tcz: Path) -> None:
    said = sh('for file in *.md5.txt; do md5sum -c "$file"; done')
    assert said == [f"{path.name}: OK" for path in sorted(tcz.glob("*.tcz"))]


#: tce-size: names of a .tree without blanks, each once, looked up as whole words at the start of a line of
#: sizelist; a package without a .tree is alone.
SIZE = r"""
total=0
zcat sizelist.gz > "$2/sizelist"
if [ -f "$1.tree" ]; then names=$(tr -d ' ' < "$1.tree" | sort -f | uniq); else names=$1; fi
for name in $names; do
  size=$(grep -w "^$name" "$2/sizelist" | cut -d' ' -f2)
  echo "$name $size"
done
"""


def test_tce_size(sh: Sh, tcz: Path, tmp_path: Path) -> None:
    found = sh(SIZE, "app.tcz", str(tmp_path))
    wanted = ["app.tcz", "Base.tcz", "libapp.tcz", f"sound-{KERNEL}.tcz", "zstd.tcz"]
    assert sorted(found) == sorted(f"{name} {(tcz / name).stat().st_size}" for name in wanted)
    assert sh(SIZE, "Base.tcz", str(tmp_path)) == [f"Base.tcz {(tcz / 'Base.tcz').stat().st_size}"]


#: search.sh: a name is a pattern over the first field without its suffix; a tag, one over the whole line.
NAME = r"""zcat tags.db.gz | awk -F'\t' -v want="$1" '
  { name = $1; sub(/\.[A-Za-z0-9_]+$/, "", name) } tolower(name) ~ tolower(want) { print $1 }'"""
TAGS = r"""zcat tags.db.gz | awk -F'\t' -v wants="$*" '
  BEGIN { count = split(wants, want, " ") }
  { for (n = 1; n <= count; n++) if (tolower($0) !~ tolower(want[n])) next; print $1 }'"""


def test_search(sh: Sh) -> None:
    assert sh(NAME, "APP") == ["app-doc.tcz", "app.tcz", "libapp.tcz"]
    assert sh(NAME, "^base$") == ["Base.tcz"]
    assert sh(TAGS, "text", "editor") == ["app.tcz"]
    assert sh(TAGS, "text") == ["app-doc.tcz", "app.tcz"]


#: provides.sh: records between empty lines, the first line of each is the package; "$" ties to a line's end.
PROVIDES = r"""zcat provides.db.gz | awk -v want="$1" '
  BEGIN { RS = ""; FS = "\n" }
  { for (n = 2; n <= NF; n++) if ($n ~ want) { print $1; next } }'"""


def test_provides(sh: Sh) -> None:
    assert sh(PROVIDES, "usr/local/bin/app$") == ["app.tcz"]
    assert sh(PROVIDES, "^usr/local/bin/app") == ["app-doc.tcz", "app.tcz"]
    assert sh(PROVIDES, "^/") == []
    assert len(sh(PROVIDES, "usr")) == 6


#: depends-on.sh: records of dep.db, whose further lines are compared with the name.
DEPENDS = r"""gunzip -c dep.db.gz | awk -v want="$1" '
  BEGIN { RS = ""; FS = "\n" } { for (n = 2; n <= NF; n++) if ($n == want) print $1 }'"""


def test_depends_on(sh: Sh) -> None:
    assert sh(DEPENDS, "Base.tcz") == ["libapp.tcz", f"sound-{KERNEL}.tcz", "zstd.tcz"]
    assert sh(DEPENDS, "sound-KERNEL.tcz") == ["app.tcz"]


#: tce-update: the line of md5.db that holds " NAME.tcz" as a word is compared as text with the local file.
UPDATE = r"""for file in *.tcz; do
  [ "$(zcat md5.db.gz | grep -w " $file")" = "$(cat "$file.md5.txt")" ] || echo "$file"
done"""


def test_tce_update_finds_all_up_to_date(sh: Sh) -> None:
    # "app.tcz" must not find libapp.tcz or app-doc.tcz.
    assert sh(UPDATE) == []


#: update-everything: wants zstd.tcz in both databases; a record of dep.db is the .dep, blanks squeezed.
EVERYTHING = r"""
grep -q ' zstd.tcz' md5.db && grep -q '^zstd.tcz$' dep.db || { echo refused; exit 0; }
for file in *.tcz; do
  said=$(awk -v want="$file" '
    BEGIN { RS = ""; FS = "\n" } $1 == want { for (n = 2; n <= NF; n++) print $n }' dep.db)
  have=
  [ ! -f "$file.dep" ] || have=$(cat "$file.dep")
  [ "$(echo $said)" = "$(echo $have)" ] || echo "changed $file"
done
"""


def test_update_everything(sh: Sh) -> None:
    assert sh(EVERYTHING) == []


def test_packed_indexes_are_the_plain_ones(sh: Sh) -> None:
    same = "for file in info.lst tags.db md5.db sizelist provides.db dep.db; do\n"
    same += '[ "$(zcat "$file.gz" | md5sum)" = "$(md5sum < "$file")" ] || echo "$file"; done'
    assert sh(same) == []


def test_zsync_brings_an_old_provides_db_up_to_date(tcz: Path, tmp_path: Path) -> None:
    """The control file of provides.db is right: zsync makes the new file from an old one and the server."""
    made = tmp_path / "provides.db"
    made.write_bytes((tcz / "provides.db").read_bytes())
    control = tmp_path / "provides.db.zsync"
    control.write_bytes((tcz / "provides.db.zsync").read_bytes())
    if shutil.which("zsync") is None:
        pytest.skip("no zsync")
    done = subprocess.run(
        ["zsync", "-q", "-u", "http://127.0.0.1:9/", "-i", made, "-o", "out", control],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == (tcz / "provides.db").read_bytes()
