"""The rules of style that a machine can hold: names, errors, docstrings and the places of files."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from gatescope.messages import english
from tests.source_files import PACKAGE, ROOT, trees

BANNED = re.compile(r"_*(told|said|asked|heard|echoed|behind)_*")
PYTHON_ERRORS = {"ValueError", "TypeError", "RuntimeError", "KeyError", "IndexError", "Exception", "OSError"}
# A command's file has the name of its command; a package's main module may have the name of the package.
SHARED_NAMES = {"__init__", "__main__"}


def _trees() -> dict[Path, ast.Module]:
    return trees("src") | trees("tests") | trees("benchmarks")


def _names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, name) for everything that a file names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.value.lineno, node.arg


def _place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_names_say_what_they_hold() -> None:
    wrong = [
        f"{_place(path, line)}: {name}"
        for path, tree in _trees().items()
        for line, name in _names(tree)
        if BANNED.fullmatch(name)
    ]
    assert wrong == []


def test_page_names_say_what_they_hold() -> None:
    declared = re.compile(r"\b(?:const|let|function|get|set|readonly|class)\s+(\w+)|^\s*(\w+)\??:\s")
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {name}"
        for path in sorted((ROOT / "web").glob("src/**/*"))
        if path.suffix in (".ts", ".svelte")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in declared.finditer(line)
        if (name := match[1] or match[2]) and BANNED.fullmatch(name)
    ]
    assert wrong == []


def test_messages_are_sentences() -> None:
    """A message begins with a capital letter, or with what the reader typed, and ends with a full stop."""
    phrases: dict[str, str] = {}
    for name in ("phrases", "scores"):  # a score stands after "Score:"
        phrases |= tomllib.loads((PACKAGE / f"messages/en/{name}.toml").read_text(encoding="utf-8"))
    wrong = [
        f"{code}: {sentence}"
        for code, sentence in english().items()
        if code not in phrases
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*[A-Z0-9]", code)
        or len(code) > 45
        or not re.match(r"[A-Z{'\"\d`]|--|\w+\.(json|jsonl|safetensors)", sentence)
        or not re.search(r"[.?!}:]$", sentence)
    ]
    assert wrong == []


def test_people_meet_errors_of_gatescope_only() -> None:
    """An error that a person can cause is a GatescopeError with a code; `nn` imitates torch's own exceptions."""
    wrong = [
        f"{_place(path, node.lineno)}: {node.exc.func.id}"
        for path, tree in _trees().items()
        if path.is_relative_to(PACKAGE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
        if node.exc.func.id in PYTHON_ERRORS
    ]
    assert wrong == []


def test_docstrings_begin_with_the_main_clause() -> None:
    wrong = [
        f"{_place(path, getattr(node, 'lineno', 1))}: {docstring.splitlines()[0]}"
        for path, tree in _trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
        if (docstring := ast.get_docstring(node)) and re.match(r"(Of|As of|Who|What is|By|Whose) ", docstring)
    ]
    assert wrong == []


def test_docstrings_have_google_sections() -> None:
    wrong = [
        _place(path, getattr(node, "lineno", 1))
        for path, tree in _trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
        if re.search(r"^\s*(Arguments|Parameters|Keyword Arguments):?\s*$", ast.get_docstring(node) or "", re.MULTILINE)
    ]
    assert wrong == []


def test_test_names_are_short() -> None:
    wrong = [
        f"{_place(path, node.lineno)}: {node.name}"
        for path, tree in _trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and len(node.name) > 60
    ]
    assert wrong == []


def test_modules_have_names_of_their_own() -> None:
    """Two modules share a name only if one of them is a command."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.stem not in SHARED_NAMES and not path.is_relative_to(PACKAGE / "cli/commands"):
            places[path.stem].append(str(path.relative_to(PACKAGE)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}
