"""What Tiny Core's own scripts read of a mirror, fetched and parsed as they do: awk and sh under BusyBox.

Each check is the parsing rule of one script, written down anew: what it fetches, how it cuts lines apart,
what it compares. They run against a mirror that was published and is served by the commands of this toolkit,
from packages with the dirt that real ones have; and against the same files spoilt, to see that they can fail.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tcz.mirror.compose import compose, state_files
from tcz.mirror.model import Catalogue, Entry
from tests.boot.served import TCZ, publishing
from tests.unit.mirror_made import BRANCH, QUIET, begun, package
from tests.unit.repository_made import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Spoil = Callable[[Path], None]

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="no busybox")

KERNEL = "6.18.2-tinycore64"
NAMES = ("app", "app-doc", "Base", "libapp", f"sound-{KERNEL}", "zstd")
PROGRAMS = (
    *("awk", "basename", "cat", "cp", "cut", "find", "grep", "gunzip", "gzip", "md5sum", "mv", "rm", "sed"),
    *("sort", "tr", "uniq", "wget", "zcat"),
)


def dirty(folder: Path) -> None:
    """Write packages as they come from elsewhere: nothing of the dirt may reach a client."""
    package(folder, "app", "libapp", "sound-KERNEL", "zstd", tags="editor  text")
    package(folder, "app-doc", tags="manual text", padding=9000)
    package(folder, "libapp", "Base")
    package(folder, "Base")
    package(folder, "zstd", "Base", tags=" compression", padding=20_000)
    package(folder, f"sound-{KERNEL}", "Base")
    (folder / "app.tcz.dep").write_bytes(b" libapp.tcz \r\nsound-KERNEL.tcz\n\nzstd")
    (folder / "zstd.tcz.dep").write_bytes(b"Base.tcz\n\t\n\n")
    (folder / "app.tcz.list").write_text("./usr/local/bin/app\n")
    (folder / "libapp.tcz.list").write_bytes(b"/usr/local/bin/libapp\r\n\n")
    md5 = (folder / "zstd.tcz.md5.txt").read_text().split()[0]
    (folder / "zstd.tcz.md5.txt").write_text(f"{md5} *./zstd.tcz\r\n")
    info = folder / "app-doc.tcz.info"
    info.write_text(info.read_text().replace("\n", "\r\n"))


@dataclass(frozen=True)
class Here:
    """A folder of packages, and the address that a client has in /opt/tcemirror."""

    tcz: Path
    mirror: str

    def sh(self, script: str, *args: str, work: Path) -> list[str]:
        """Run a script as a client: every program is BusyBox's, and it sees the server alone."""
        uses = "".join(f'{name}() {{ busybox {name} "$@"; }}\n' for name in PROGRAMS)
        uses += f'MIRROR={self.mirror}/{TCZ}\nfetch() {{ wget -q -O "$1" "$MIRROR/$1" 2>/dev/null; }}\n'
        done = subprocess.run(
            ["busybox", "sh", "-uc", uses + script, "sh", *args],
            cwd=work,
            check=False,
            capture_output=True,
            text=True,
        )
        return [*done.stdout.splitlines(), *([f"ended with {done.returncode}"] if done.returncode else [])]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("clients")
    dirty(folder / "in")
    with publishing(folder, folder / "in", latest="17.1") as made:
        yield Here(made.public(""), f"http://127.0.0.1:{made.port}")


# -- ways to spoil a mirror ------------------------------------------------------------------------


def edited(name: str, old: str, new: str) -> Spoil:
    """Replace text in a file, packed or not."""

    def spoil(tcz: Path) -> None:
        file = tcz / name
        data = file.read_bytes()
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
        assert old in text, (name, text)
        made = text.replace(old, new).encode()
        file.unlink()
        file.write_bytes(gzip.compress(made) if name.endswith(".gz") else made)

    return spoil


def lost(name: str) -> Spoil:
    return lambda tcz: (tcz / name).unlink()


def swapped(name: str) -> Spoil:
    """Change one bit of a file."""

    def spoil(tcz: Path) -> None:
        data = bytearray((tcz / name).read_bytes())
        data[-1] ^= 1
        (tcz / name).unlink()
        (tcz / name).write_bytes(data)

    return spoil


# -- the checks ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """A script of a client, what it must say, and what must keep it from saying so."""

    script: str
    args: tuple[str, ...]
    says: Callable[[Path], list[str]]
    spoilt: tuple[Spoil, ...] = field(default=())


def just(*lines: str) -> Callable[[Path], list[str]]:
    return lambda _: list(lines)


#: tce-load: of each line blanks and tabs vanish, empty ones are passed over, the first -KERNEL.tcz becomes
#: the running kernel's; a .dep that the server does not have means nothing is needed. What was found last is
#: loaded first, each name once: "order" makes the list of discoveries and walks it backwards.
LOAD = r"""
kernel=$1
discover() {
  case " $seen " in *" $1 "*) found="again:$1 $found"; return 0;; esac
  seen="$seen $1"
  found="$1 $found"
  fetch "$1.dep" || { rm -f "$1.dep"; return 0; }
  for need in $(awk -v kernel="$kernel" '
    { gsub(/[ \t]/, "") }
    /^$/ { next }
    { sub(/-KERNEL\.tcz/, "-" kernel ".tcz"); print }' "$1.dep"); do
    discover "$need"
  done
}
load() {
  case " $loaded " in *" $1 "*) return 0;; esac
  loaded="$loaded $1"
  fetch "$1.md5.txt" && fetch "$1" && md5sum -c "$1.md5.txt" >/dev/null 2>&1 || { echo "bad $1"; return 0; }
  echo "$1"
}
seen= found= loaded=
discover "$2"
for one in $found; do load "${one#again:}"; done
"""

#: tce-size: names of a .tree without blanks, each once, looked up as whole words at the start of a line of
#: sizelist; a package without a .tree is alone.
SIZE = r"""
fetch sizelist.gz && gunzip -f sizelist.gz
fetch "$1.tree" || echo "$1" > "$1.tree"
for name in $(sed 's/ //g' "$1.tree" | sort -f | uniq); do
  size=$(grep -w "^$name" sizelist | awk '{ print $2 }')
  case $size in [0-9]*) echo "$name $size";; *) echo "$name not found";; esac
done
"""

#: search.sh: a name is a pattern over the first field without its suffix; a tag, one over the whole line.
NAME = r"""fetch tags.db.gz && gunzip -f tags.db.gz && awk -v want="$1" '
  { name = $1; sub(/\.[A-Za-z0-9_]+$/, "", name) } tolower(name) ~ tolower(want) { print $1 }' tags.db"""
TAGS = r"""fetch tags.db.gz && gunzip -f tags.db.gz && awk -v wants="$*" '
  BEGIN { count = split(wants, want, " ") }
  { for (n = 1; n <= count; n++) if (tolower($0) !~ tolower(want[n])) next; print $1 }' tags.db"""

#: provides.sh: records between empty lines, the first line of each is the package. A pattern is looked for
#: anywhere in the record; with "$" at its end, before a line's end. -f shows the lines that match.
PROVIDES = r"""fetch provides.db.gz && gunzip -f provides.db.gz && awk '
  BEGIN { FS = "\n"; RS = "" } /'"$1"'\n/ || /'"$1"'$/ { print $1 }' provides.db"""
PATHS = r"""fetch provides.db.gz && gunzip -f provides.db.gz && awk '
  BEGIN { FS = "\n"; RS = "" }
  /'"$1"'/ { for (n = 2; n <= NF; n++) if ($n ~ /'"$1"'/) print $1 " : " $n }' provides.db"""

#: depends-on.sh: records of dep.db, whose further lines are compared with the name as a whole.
DEPENDS = r"""fetch dep.db.gz && gunzip -f dep.db.gz && awk '
  BEGIN { FS = "\n"; RS = "" } { for (n = 2; n <= NF; n++) if ($n == "'"$1"'") print $1 }' dep.db"""

#: tce-update: the whole text of a local .md5.txt, as tce-load stored it, is compared with the lines of md5.db
#: that hold " NAME.tcz" as a word; "app.tcz" must not find libapp.tcz or app-doc.tcz. What differs is
#: fetched, its .md5.txt written from that line, and KERNEL in its .dep replaced where it stands.
UPDATE = r"""
for file in $2; do fetch "$file.md5.txt"; done
fetch md5.db.gz && gunzip -f md5.db.gz
for file in $2; do
  said=$(grep -w " $file" md5.db)
  if [ -z "$said" ]; then echo "cannot verify $file"
  elif [ "$(cat "$file.md5.txt")" != "$said" ]; then echo "old $file"; fi
done
"""
UPGRADE = r"""
echo "00000000000000000000000000000000  $2" > "$2.md5.txt"
fetch md5.db.gz && gunzip -f md5.db.gz
said=$(grep -w " $2" md5.db)
[ "$(cat "$2.md5.txt")" = "$said" ] && echo "up to date"
fetch "$2" && echo "$said" > "$2.md5.txt" && md5sum -c "$2.md5.txt"
fetch "$2.dep" && sed -i "s@KERNEL@$1@" "$2.dep" && cat "$2.dep"
"""

#: tce-update again: what a .dep says is taken apart by the shell.
WORDS = r"""fetch "$1.dep" && for need in `cat "$1.dep"`; do echo "<$need>"; done"""

#: update-everything: wants zstd.tcz in both databases; splits dep.db into files, one a record; copies those
#: that are missing here, removes those that the mirror does not have, compares the others blanks squeezed.
EVERYTHING = r"""
mkdir optional split
for file in $1; do
  fetch "$file.md5.txt" && mv "$file.md5.txt" optional
  fetch "$file.dep" && mv "$file.dep" optional || rm -f "$file.dep"
done
rm -f optional/libapp.tcz.dep
echo zstd.tcz > optional/Base.tcz.dep
fetch md5.db.gz && gunzip -f md5.db.gz
fetch dep.db.gz && gunzip -f dep.db.gz
grep -q " zstd.tcz" md5.db || { echo "md5.db incomplete"; exit 0; }
awk 'BEGIN { FS = "\n"; RS = "" }
  { out = "split/" $1 ".dep"; for (n = 2; n <= NF; n++) print $n > out; close(out) }' dep.db
[ -f split/zstd.tcz.dep ] || { echo "dep.db incomplete"; exit 0; }
for md5 in $(find optional -name '*.md5.txt' -exec basename {} \; | sort); do
  file=${md5%.md5.txt} dep=${md5%.md5.txt}.dep
  if [ -f "split/$dep" ] && [ ! -f "optional/$dep" ]; then echo "$dep is missing"
  elif [ ! -f "split/$dep" ] && [ -f "optional/$dep" ] && grep -q " $file" md5.db; then
    echo "$dep is too many"
  elif [ -f "split/$dep" ] && [ "$(echo $(cat "optional/$dep"))" != "$(echo $(cat "split/$dep"))" ]; then
    echo "$dep has changed"
  fi
  grep -q "$file" md5.db || echo "$file is gone"
done
"""

#: tce-audit: the .dep of every package is fetched anew, a failure other than 404 is told; then all that a
#: package needs is looked for; "md5check" looks at every .md5.txt.
AUDIT = r"""
for file in $2; do
  fetch "$file" && fetch "$file.md5.txt"
  wget -q -O "$file.dep" "$MIRROR/$file.dep" 2>said || { rm -f "$file.dep"; grep -v 404 said; }
done
for file in $2; do
  [ ! -f "$file.dep" ] || awk -v kernel="$1" '
    { gsub(/[ \t]+/, ""); sub(/-KERNEL\.tcz/, "-" kernel ".tcz") } $0 { print }' "$file.dep" |
    while read need; do [ -f "$need" ] || echo "For $file $need is missing!"; done
done
for md5 in *.md5.txt; do md5sum -c -s $md5 || echo "FAIL: $md5"; done
"""

#: tce-ab (the browser): shows .info, .list, .dep and .tree as they come; its lists come from search.sh and
#: provides.sh. Every package has an .info whose title is its name, and a .list.
BROWSER = r"""
for file in $1; do
  for suffix in info list; do fetch "$file.$suffix" || echo "$file.$suffix is missing"; done
  [ "$(sed -n 's/^Title:[ \t]*//p' "$file.info" | tr -d '\r')" = "$file" ] || echo "title of $file"
  grep -c . "$file.list" >/dev/null || echo "empty $file.list"
  fetch "$file.dep" || continue
  fetch "$file.tree" || { echo "$file.tree is missing"; continue; }
  awk -v file="$file" 'NR == 1 && $0 != file { print "first line of the tree of " file }
    { match($0, /^ */); if (RLENGTH % 3 || RLENGTH > last + 3) print "indentation of " file; last = RLENGTH }
  ' "$file.tree"
done
"""

#: The picker of mirrors and the graphical browser: one name a line.
LIST = r"""fetch info.lst.gz && zcat info.lst.gz"""

#: tce-status -o: asks for every local file, and lists what the server does not have.
STATUS = r"""for file in $1; do for suffix in "" .md5.txt .info; do
  wget --spider -q "$MIRROR/$file$suffix" 2>/dev/null || echo "$file$suffix not found!"; done; done
wget --spider -q "$MIRROR/absent.tcz" 2>/dev/null || echo absent"""

#: version -c: the text of latest-ARCH, below the address as it stands in the file.
VERSION = r"""
for slash in / //; do
  latest=$(wget -q -O - "${MIRROR%/17.x/x86_64/tcz}${slash}latest-x86_64" 2>/dev/null) && echo "<$latest>"
done
"""

#: Names reach shells unquoted.
SAFE = r"""fetch dep.db.gz && zcat dep.db.gz | grep -v '^$' | grep -Ev '^[A-Za-z0-9][A-Za-z0-9+._-]*\.tcz$'
fetch info.lst.gz && zcat info.lst.gz | grep -Ev '^[A-Za-z0-9][A-Za-z0-9+._-]*\.tcz$'; true"""

#: A packed index is the plain one, and a .dep, a .md5.txt and the lines of the indexes say the same.
SAME = r"""
for file in info.lst tags.db md5.db sizelist provides.db dep.db; do
  fetch $file && fetch $file.gz && [ "$(zcat $file.gz | md5sum)" = "$(md5sum < $file)" ] ||
    echo "packed $file"
done
for file in $1; do fetch "$file.md5.txt" && cat "$file.md5.txt"; done | sort >all
sort md5.db | [ "$(md5sum)" = "$(md5sum <all)" ] || echo "md5.db and the .md5.txt files"
for file in $1; do fetch "$file.dep" && { echo "$file"; cat "$file.dep"; echo; }; done >deps
[ "$(tr -s '\n' <dep.db | sort)" = "$(tr -s '\n' <deps | sort)" ] || echo "dep.db and the .dep files"
"""

ALL = " ".join(f"{name}.tcz" for name in NAMES)
LISTED = [f"{name}.tcz" for name in ("app-doc", "app", "Base", "libapp", f"sound-{KERNEL}", "zstd")]
SOUND = f"sound-{KERNEL}.tcz"


def sizes(*names: str) -> Callable[[Path], list[str]]:
    return lambda tcz: [f"{name} {(tcz / name).stat().st_size}" for name in names]


CHECKS = {
    "tce-load": Check(
        LOAD,
        (KERNEL, "app.tcz"),
        just("Base.tcz", "zstd.tcz", SOUND, "libapp.tcz", "app.tcz"),
        (
            edited("app.tcz.dep", "libapp.tcz\n", "libapp.tcz zstd.tcz\n"),
            edited("app.tcz.dep", "\n", "\r\n"),
            swapped("libapp.tcz"),
            edited("zstd.tcz.md5.txt", "\n", "\n\n"),
            lost("Base.tcz.md5.txt"),
        ),
    ),
    "tce-size": Check(
        SIZE,
        ("app.tcz",),
        sizes("app.tcz", "Base.tcz", "libapp.tcz", SOUND, "zstd.tcz"),
        (
            lost("app.tcz.tree"),
            edited("app.tcz.tree", "   ", "\t"),
            edited("app.tcz.tree", "zstd", "- zstd"),
            edited("sizelist.gz", "zstd.tcz ", "zstd.tcz"),
        ),
    ),
    "tce-size, of one alone": Check(
        SIZE, ("Base.tcz",), sizes("Base.tcz"), (edited("sizelist.gz", "Base.tcz", "./Base.tcz"),)
    ),
    "search.sh": Check(
        NAME,
        ("APP",),
        just("app-doc.tcz", "app.tcz", "libapp.tcz"),
        (
            lost("tags.db.gz"),
            edited("tags.db.gz", "\t", ": "),
            edited("tags.db.gz", "libapp.tcz", "libap p.tcz"),
        ),
    ),
    "search.sh -t": Check(
        TAGS, ("text", "editor"), just("app.tcz"), (edited("tags.db.gz", "editor", "editor\n"),)
    ),
    "provides.sh": Check(
        PROVIDES,
        ("usr\\/local\\/bin\\/app$",),
        just("app.tcz"),
        (
            edited("provides.db.gz", "bin/app\n", "bin/app \n"),
            edited("provides.db.gz", "\n\n", "\n"),
            edited("provides.db.gz", "\n\n", "\n \n"),
        ),
    ),
    "provides.sh -f": Check(
        PATHS,
        ("bin\\/lib",),
        just("libapp.tcz : usr/local/bin/libapp"),
        (edited("provides.db.gz", "usr/local/bin/libapp", "/usr/local/bin/libapp"), lost("provides.db.gz")),
    ),
    "depends-on.sh": Check(
        DEPENDS,
        ("Base.tcz",),
        just("libapp.tcz", SOUND, "zstd.tcz"),
        (
            edited("dep.db.gz", "\nBase.tcz\n", "\n Base.tcz\n"),
            edited("dep.db.gz", "\n\n", "\n"),
            edited("dep.db.gz", "\n", "\r\n"),
        ),
    ),
    "depends-on.sh, of a module": Check(
        DEPENDS, ("sound-KERNEL.tcz",), just("app.tcz"), (edited("dep.db.gz", "KERNEL", KERNEL),)
    ),
    "tce-update list": Check(
        UPDATE,
        (KERNEL, ALL),
        just(),
        (
            edited("md5.db.gz", "  app.tcz", " *app.tcz"),
            edited("md5.db.gz", "  zstd.tcz", "  ./zstd.tcz"),
            edited("md5.db.gz", "  Base.tcz\n", "  Base.tcz \n"),
            edited("libapp.tcz.md5.txt", "  ", " *"),
        ),
    ),
    "tce-update update": Check(
        UPGRADE,
        (KERNEL, "app.tcz"),
        just("app.tcz: OK", "libapp.tcz", SOUND, "zstd.tcz"),
        (swapped("app.tcz"), edited("app.tcz.dep", "KERNEL", "6.1.2-tinycore64")),
    ),
    "tce-update, needs by words": Check(
        WORDS,
        ("app.tcz",),
        just("<libapp.tcz>", "<sound-KERNEL.tcz>", "<zstd.tcz>"),
        (edited("app.tcz.dep", "zstd.tcz", "# zstd.tcz"),),
    ),
    "update-everything": Check(
        EVERYTHING,
        (ALL,),
        just("Base.tcz.dep is too many", "libapp.tcz.dep is missing"),
        (
            edited("dep.db.gz", "zstd.tcz\nBase.tcz\n\n", ""),
            edited("md5.db.gz", " zstd.tcz", " zst.tcz"),
            edited("dep.db.gz", "libapp.tcz\nsound", "libapp.tcz\n\nsound"),
            edited("app.tcz.dep", "KERNEL", "6.1.2-tinycore64"),
        ),
    ),
    "tce-audit": Check(
        AUDIT,
        (KERNEL, ALL),
        just(),
        (
            lost("Base.tcz"),
            edited("app.tcz.dep", "zstd.tcz", "zstd"),
            edited("Base.tcz.md5.txt", "  ", " "),
        ),
    ),
    "tce-ab": Check(
        BROWSER,
        (ALL,),
        just(),
        (
            lost("app.tcz.info"),
            lost("libapp.tcz.list"),
            lost("zstd.tcz.tree"),
            edited("app.tcz.tree", "   ", "  "),
            edited("Base.tcz.info", "Base.tcz", "base.tcz"),
        ),
    ),
    "info.lst": Check(LIST, (), just(*LISTED), (lost("info.lst.gz"), edited("info.lst.gz", "app.tcz\n", ""))),
    "tce-status -o": Check(STATUS, (ALL,), just("absent"), (lost("app.tcz"),)),
    "version -c": Check(
        VERSION,
        (),
        just("<17.1>", "<17.1>"),
        (edited("../../../latest-x86_64", "17.1", "17.1 "), lost("../../../latest-x86_64")),
    ),
    "safe names": Check(
        SAFE,
        (),
        just(),
        (
            edited("dep.db.gz", "zstd.tcz", "$(reboot).tcz"),
            edited("dep.db.gz", "zstd.tcz", "z std.tcz"),
            edited("info.lst.gz", "app-doc.tcz", "../app-doc.tcz"),
        ),
    ),
    "indexes and files": Check(
        SAME,
        (ALL,),
        just(),
        (
            edited("sizelist.gz", "app.tcz", "app.tcz "),
            edited("md5.db", "  app.tcz", " *app.tcz"),
            edited("zstd.tcz.dep", "Base", "app"),
        ),
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_script_of_tiny_core_finds_what_it_looks_for(name: str, here: Here, tmp_path: Path) -> None:
    check = CHECKS[name]
    assert here.sh(check.script, *check.args, work=tmp_path) == check.says(here.tcz)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """A copy of the mirror's files to spoil, on a server that knows nothing of a mirror."""
    top = tmp_path_factory.mktemp("broken") / "m"
    with serving(top) as server:
        yield Here(top / TCZ, server.address)


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, one in CHECKS.items() for number in range(len(one.spoilt))]
)
def test_a_spoilt_mirror_is_found_out(
    name: str, number: int, here: Here, broken: Here, tmp_path: Path
) -> None:
    check = CHECKS[name]
    top = broken.tcz.parents[2]
    if top.exists():
        shutil.rmtree(top)
    shutil.copytree(here.tcz.parents[2], top)
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    assert broken.sh(check.script, *check.args, work=tmp_path / "before") == check.says(here.tcz)
    check.spoilt[number](broken.tcz)
    assert broken.sh(check.script, *check.args, work=tmp_path / "after") != check.says(here.tcz)


# -- many packages --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """A mirror of so many packages that provides.db.gz has several members; only their lists are made."""
    mirror = begun(tmp_path_factory.mktemp("many") / "m")
    with mirror.writing(QUIET) as writer:
        objects = writer.objects
        entries = {
            name: Entry(
                name=name,
                md5=hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(),
                files={
                    "": objects.add_bytes(name.encode()),
                    ".list": objects.add_bytes(f"usr/local/bin/{name}\nusr/local/share/{name}/ä\n".encode()),
                },
                needs=(f"p{number - 1}",) if number % 2 else (),
            )
            for number, name in enumerate(f"p{number}" for number in range(1200))
        }
        old = mirror.catalogue()
        new = compose(Catalogue(serial=old.serial + 1, branches={BRANCH: entries}), old, objects)
        writer.publish(state_files(new, objects), new.serial)
    with serving(mirror.public) as server:
        yield Here(mirror.public / TCZ, server.address)


def members(data: bytes) -> int:
    count = 0
    while data:
        one = zlib.decompressobj(wbits=31)
        one.decompress(data)
        data, count = one.unused_data, count + 1
    return count


@pytest.mark.parametrize(
    "tool", ["busybox zcat", "busybox gunzip -c", "busybox gzip -dc", "gzip -dc", "zcat"]
)
def test_a_packed_index_of_several_members_is_read_whole(tool: str, many: Here, tmp_path: Path) -> None:
    for name in ("provides.db", "md5.db", "dep.db", "info.lst", "sizelist", "tags.db"):
        packed = (many.tcz / f"{name}.gz").read_bytes()
        assert name != "provides.db" or members(packed) > 2
        (tmp_path / f"{name}.gz").write_bytes(packed)
        done = subprocess.run([*tool.split(), f"{name}.gz"], cwd=tmp_path, check=True, capture_output=True)
        assert done.stdout == (many.tcz / name).read_bytes()


def test_scripts_find_the_last_of_many_packages(many: Here, tmp_path: Path) -> None:
    plain = (many.tcz / "provides.db").read_text()
    names = [record.splitlines()[0] for record in plain.removesuffix("\n\n").split("\n\n")]
    assert len(names) == 1200
    for number, name in enumerate((names[0], names[600], names[-1])):
        work = tmp_path / str(number)
        work.mkdir()
        path = f"bin\\/{name.removesuffix('.tcz')}$"
        assert many.sh(PROVIDES, path, work=work) == [name]
        assert len(many.sh("fetch provides.db.gz && zcat provides.db.gz | grep -c '[.]tcz$'", work=work)) == 1
    assert many.sh(DEPENDS, "p1198.tcz", work=tmp_path) == ["p1199.tcz"]
    assert many.sh('fetch "$1" && gunzip "$1" && grep -c . provides.db', "provides.db.gz", work=tmp_path) == [
        str(3 * 1200)
    ]


# -- zsync -----------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("zsync") is None, reason="no zsync")
@pytest.mark.parametrize("name", ["provides.db", "app.tcz"])
def test_zsync_brings_an_old_file_up_to_date(name: str, here: Here, tmp_path: Path) -> None:
    """provides.sh and tce-update: a new file is made from the old one and what the server has."""
    data = (here.tcz / name).read_bytes()
    (tmp_path / "old").write_bytes(data[: len(data) // 2] + b"other")
    done = subprocess.run(
        ["zsync", "-q", "-i", "old", f"{here.mirror}/{TCZ}/{name}.zsync"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).read_bytes() == data
