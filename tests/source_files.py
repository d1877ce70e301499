"""The Python files of the repository, each parsed once for all tests that read the sources."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/gatescope"


@cache
def trees(folder: str) -> dict[Path, ast.Module]:
    """Parse every Python file of a folder of the repository; return path -> syntax tree, in the order of the paths."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / folder).rglob("*.py"))}
