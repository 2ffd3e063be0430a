"""The JSON Schema of variants against a validator of others, and the file to begin a variant with."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remaster import variant
from remaster.bootcode import BootCodes
from remaster.variant import reading, schema
from tcz import toml
from tcz.errors import ConfigError
from tests.unit.certificates_made import certificates
from tests.unit.container_images import docker_archive, layer
from tests.unit.test_accounts import LINE

CODES = BootCodes.load()
SCHEMA: dict[str, Any] = json.loads(schema.text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
HEAD = 'schema = 1\nname = "mine"\nsummary = "x"\n'
REFERENCE = Path(__file__).parents[2] / "docs/reference/variant.md"
KEYS = [key for key in reading.SHAPE.keys if key.name not in ("schema", "name", "summary", "extends")]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["required"]) == {"schema", "name", "summary"}


@pytest.mark.parametrize("name", variant.names())
def test_shipped_variants_are_as_it_says(name: str) -> None:
    VALIDATOR.validate(tomllib.loads(variant.find(name).read_text()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that examples name."""
    (tmp_path / "anna.pub").write_text(LINE)
    (tmp_path / "corporate.pem").write_bytes(certificates()[0])
    (tmp_path / "de.kmap").write_bytes(b"bkeymap" + bytes(256))
    docker_archive(tmp_path / "web.tar", "localhost/web:latest", layer())
    return tmp_path


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_keys_example_is_right(folder: Path, key: Any) -> None:
    path = folder / "mine.toml"
    extends = "docker" if key.name == "daemon-json" else "podman"
    path.write_text(f'{HEAD}extends = "{extends}"\n{key.example}')
    VALIDATOR.validate(tomllib.loads(path.read_text()))
    found = variant.extended(variant.load(str(path), CODES), CODES)
    assert key.name in tomllib.loads(key.example)
    assert found != variant.extended(variant.load(extends, CODES), CODES)


def test_every_key_that_is_read_is_described() -> None:
    """What the reader asks the root for is what the schema has."""
    document = toml.Document("x", {}, {})
    reading._read(document, Path("x.toml"), CODES, "floe")
    asked = {table.title: set(table._asked) for table in document._tables}
    for title, keys in asked.items():
        place = SCHEMA
        for part in filter(None, title.strip("[]").split(".")):
            place = place["properties"][part]
        if "properties" in place:
            assert keys == set(place["properties"]), title


@pytest.mark.parametrize(
    "text",
    [
        "hostnam = 'x'",
        "hostname = 1",
        "hostname = '-x'",
        "packages.onboot = ['a/b']",
        "image.timeout = 3601",
        "ntp = 'x'",
        "[[user]]\n",
        "[[user]]\nname = 'Anna'",
        "[[container]]\nname = 'a'",
        "[[container]]\nname = 'a'\nimage = 'b'\nrestart = 'maybe'",
        "[daemon-json]\nlog-drivr = 'x'",
        "[[cni]]\nname = 'x'",
        "registries.short-name-mode = 'x'",
        "[sysctl]\nvm.swappiness = 1.5\nx = 1.5",
        "packages.place.nano = 'nowhere'",
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(tmp_path: Path, text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(tomllib.loads(HEAD + text))
    (tmp_path / "x.toml").write_text(HEAD + text)
    with pytest.raises(ConfigError):
        variant.load(str(tmp_path / "x.toml"), CODES)


@pytest.mark.parametrize("extends", variant.names())
def test_a_file_to_begin_with(tmp_path: Path, extends: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(schema.starter("mine", extends))
    found = variant.extended(variant.load(str(path), CODES), CODES)
    assert found.onboot == variant.extended(variant.load(extends, CODES), CODES).onboot
    VALIDATOR.validate(tomllib.loads(path.read_text()))


def test_with_all_its_remarks_taken_away_it_is_still_right() -> None:
    text = schema.starter("mine", "docker")
    whole = re.sub(r"(?m)^#(?! )", "", text).replace("#    {", "    {")
    VALIDATOR.validate(tomllib.loads(whole))
    assert {key.name for key in reading.SHAPE.keys} == set(tomllib.loads(whole))


def test_the_reference_has_every_key_and_its_examples_are_right(folder: Path) -> None:
    text = REFERENCE.read_text()
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    for path, _ in reading.SHAPE.walk():
        name = path.rpartition(".")[2]
        assert f"`{name}`" in text or re.search(rf"(?m)^(.*\.)?\W*{name}\b", "\n".join(blocks)), path
    assert len(blocks) >= 10
    for block in blocks:
        whole = block if "schema = 1" in block else f'{HEAD}extends = "podman"\n{block}'
        VALIDATOR.validate(tomllib.loads(whole))
        (folder / "mine.toml").write_text(whole)
        variant.extended(variant.load(str(folder / "mine.toml"), CODES), CODES)


NAMES = sorted({path.rpartition(".")[2] for path, _ in reading.SHAPE.walk()} | {"type", "", "a.b", "x"})
TEXTS = st.sampled_from([*NAMES, "/etc/x", "localhost/a:1", "8080:80", "UTC", "-----BEGIN PRIVATE KEY-----"])
ANYTHING = st.recursive(
    st.none().map(lambda _: dt.date(2025, 1, 1))
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from([key.name for key in KEYS]), ANYTHING, max_size=4))
def test_any_value_of_any_key_is_right_or_a_mistake(table: dict[str, object]) -> None:
    linux = variant.load("linux", CODES)
    with contextlib.suppress(ConfigError):
        variant.extended(variant.over(linux, table, CODES), CODES)
