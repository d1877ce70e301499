"""The documents: every block of Python runs, every link leads to a file, every table has a header."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(document: Path) -> list[str]:
    """Return the Python blocks of a document."""
    return BLOCK.findall(document.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks(d)], ids=lambda d: d.name)
def test_python_blocks_run(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(document)):
        exec(compile(block, f"{document.name}, block {number}", "exec"), names)  # noqa: S102 - our own documents


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_links_lead_to_files(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_tables_have_a_header(document: Path) -> None:
    """Rows after an empty line without a header would be shown as text."""
    lines = document.read_text(encoding="utf-8").splitlines()
    starts = [k for k, line in enumerate(lines) if line.startswith("|") and not lines[k - 1].startswith("|")]
    assert all(lines[k + 1].startswith("| -") or lines[k + 1].startswith("|-") for k in starts)


def test_chinese_readme_matches_the_english_one() -> None:
    """Both have the same code, links, headings and tables in the same order; a picture may have a Chinese twin."""
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
    assert BLOCK.findall(english) == BLOCK.findall(chinese)
    for pattern in (r"^(#+) ", r"^(\|)", r"^(\* )", r"^(```\w*)"):
        assert re.findall(pattern, english, re.MULTILINE) == re.findall(pattern, chinese, re.MULTILINE), pattern
    swapped = [link.replace("README.md", "README.zh.md") for link in LINK.findall(chinese)]
    assert LINK.findall(english) == [
        link.replace("-zh.png", ".png") if link.replace("-zh.png", ".png") in english else link for link in swapped
    ]
