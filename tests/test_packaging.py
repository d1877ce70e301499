"""What the build is told fits what there is: versions, pins, sources."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import gatescope

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def names(requirements: list[str]) -> set[str]:
    """The packages that a list of requirements names, without extras and versions."""
    return {re.split(r"[\[<>=!~; ]", line)[0].lower() for line in requirements} - {"gatescope"}


def pinned() -> set[str]:
    """The packages of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return names([line for line in lines if "==" in line])


def test_the_installed_version_is_the_one_in_the_source() -> None:
    assert version("gatescope") == gatescope.__version__


@pytest.mark.parametrize("what", ["what is needed", "what the build needs", "dev", "xarray"])
def test_every_package_that_a_command_installs_is_pinned(what: str) -> None:
    requirements = {
        "what is needed": PROJECT["project"]["dependencies"],
        "what the build needs": [*PROJECT["build-system"]["requires"], "cmake", "ninja"],
        **PROJECT["project"]["optional-dependencies"],
    }
    assert names(requirements[what]) <= pinned()


def test_package_is_typed() -> None:
    """The classifier "Typing :: Typed" holds only with the marker file of PEP 561 in the package."""
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]
    assert (ROOT / "src" / "gatescope" / "py.typed").is_file()


def test_every_source_of_the_native_engine_is_compiled() -> None:
    native = ROOT / "native"
    build = (native / "CMakeLists.txt").read_text(encoding="utf-8")
    sources = {file.relative_to(native).as_posix() for file in native.rglob("*.cpp")}
    assert sources == set(re.findall(r"[\w/]+\.cpp\b", re.sub(r"#.*|option\(.*", "", build)))
