import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz.errors import ConfigError
from tcz.names import file_name, follows_kernel, is_package_name, package_name, with_kernel


@pytest.mark.parametrize("name", ["a", "gtk+-3.0", "7zip", "runc", "docker-engine", "linux-6.18_api_headers"])
def test_good_names(name: str) -> None:
    assert package_name(name) == name
    assert package_name(file_name(name)) == name


@pytest.mark.parametrize("name", ["", ".tcz", "a b", "-a", "a;b", "a/b", "$(x)", "a\n", "é", "a.tcz.tcz"])
def test_bad_names(name: str) -> None:
    with pytest.raises(ConfigError):
        package_name(name)


@given(st.text())
def test_a_good_name_is_harmless_in_a_shell(raw: str) -> None:
    if is_package_name(raw):
        assert not set(raw) & set(" \t\r\n;&|$`\"'\\<>(){}*?[]~#!/")


def test_kernel() -> None:
    assert with_kernel("net-KERNEL", "6.12.48+deb13-amd64") == "net-6.12.48+deb13-amd64"
    assert with_kernel("net-KERNEL-x", "6.12") == "net-KERNEL-x"
    assert not follows_kernel("KERNEL")
    with pytest.raises(ConfigError):
        with_kernel("net-KERNEL", "6.12 x")
