"""Packaging: versions, pinned requirements and the sources of the native engine are consistent."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import gatescope

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def names(requirements: list[str]) -> set[str]:
    """Return the names of required packages, without extras and versions."""
    return {re.split(r"[\[<>=!~; ]", line)[0].lower() for line in requirements} - {"gatescope"}


def pinned() -> set[str]:
    """Return the names of the packages in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return names([line for line in lines if "==" in line])


def test_installed_version_is_that_of_the_source() -> None:
    assert version("gatescope") == gatescope.__version__


@pytest.mark.parametrize("group", ["runtime", "build", "dev", "xarray"])
def test_required_packages_are_pinned(group: str) -> None:
    requirements = {
        "runtime": PROJECT["project"]["dependencies"],
        "build": [*PROJECT["build-system"]["requires"], "cmake", "ninja"],
        **PROJECT["project"]["optional-dependencies"],
    }
    assert names(requirements[group]) <= pinned()


def test_package_is_typed() -> None:
    """The classifier "Typing :: Typed" holds only with the marker file of PEP 561 in the package."""
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]
    assert (ROOT / "src" / "gatescope" / "py.typed").is_file()


def test_native_sources_are_all_compiled() -> None:
    native = ROOT / "native"
    build = (native / "CMakeLists.txt").read_text(encoding="utf-8")
    compiled = set(re.findall(r"[\w/]+\.cpp\b", re.sub(r"#.*|option\(.*", "", build)))
    webassembly = re.findall(r"for source in (.*); do", (ROOT / "scripts" / "build-wasm").read_text(encoding="utf-8"))
    compiled |= {f"{source}.cpp" for sources in webassembly for source in sources.split()}
    assert {file.relative_to(native).as_posix() for file in native.rglob("*.cpp")} == compiled
