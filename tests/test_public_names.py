"""The public names are written for people, for type checkers and for the import when used; here they agree."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import gatescope


def imports_for_type_checkers() -> dict[str, str]:
    """Name -> module, from the block that only type checkers run."""
    tree = ast.parse(Path(gatescope.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_what_type_checkers_see_is_what_there_is() -> None:
    seen = imports_for_type_checkers()
    assert set(seen) | {"__version__"} == set(gatescope.__all__)
    for name, module in seen.items():
        assert getattr(gatescope, name) is getattr(import_module(module), name)


def test_dir_lists_the_public_names() -> None:
    assert set(gatescope.__all__) <= set(dir(gatescope))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_that"):
        _ = gatescope.nothing_like_that


def test_submodules_resolve_as_attributes_when_used() -> None:
    """Every public module is an attribute after `import gatescope` alone, those of the studies too."""
    code = """
import pkgutil, gatescope
assert gatescope.nn.LSTM and gatescope.cells.lstm and gatescope.studies.labels.labels
for module in pkgutil.iter_modules(gatescope.__path__):
    assert module.name.startswith("_") or getattr(gatescope, module.name).__name__ == f"gatescope.{module.name}"
for name in ("nn", "studies", "features", "cells", "tasks", "engine"):
    assert name in dir(gatescope)
assert "labels" in dir(gatescope.studies)
assert not hasattr(gatescope, "nothing_like_that") and not hasattr(gatescope.studies, "_nothing")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_does_not_wait_for_torch() -> None:
    code = "import sys, gatescope; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
