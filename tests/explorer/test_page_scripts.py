"""The scripts of the built page: what the first picture needs is small, and each other part is a file that exists."""

import gzip
import re
from pathlib import Path

import pytest

from gatescope.explorer.live.program import FILES, STATIC, WIDGET
from tests.explorer.live.examples import unpack_apart
from tests.explorer.page import Page

MAX_FIRST_BYTES = (
    150_000  # of what the page loads before its first picture, compressed; data and kernels come beside it
)
IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["'`](\./[^"'`]+)["'`]""")
SCRIPTS = sorted(path.name for path in STATIC.glob("*.js"))


def source(file: str) -> str:
    return (STATIC / file).read_text(encoding="utf-8")


def imports(file: str) -> set[str]:
    return {address.removeprefix("./") for address in IMPORT.findall(source(file))}


def test_first_load_is_small() -> None:
    files = re.findall(r'(?:src|href)="\./([^"]*\.(?:js|css))"', source("index.html"))
    assert sorted(files) == ["explorer.css", "explorer.js", "opening.js"]
    sizes = {file: len(gzip.compress((STATIC / file).read_bytes(), mtime=0)) for file in files}
    assert sum(sizes.values()) < MAX_FIRST_BYTES, sizes


def test_parts_are_scripts_beside_the_first() -> None:
    parts = imports("explorer.js")
    assert {"neuron.js", "learning.js", "health.js", "gradients.js", "weight-paths.js"} <= parts
    for file in SCRIPTS:
        assert imports(file) <= set(SCRIPTS), file
    assert not re.search(r"""^import\b[^(]*from""", source("explorer.js")), "the first script waits for another one"


def test_names_of_scripts_are_stable() -> None:
    assert [file for file in SCRIPTS if not re.fullmatch(r"[a-z]+(-[a-z]+)*\.js", file)] == []


def test_every_script_is_loaded_by_something() -> None:
    by_page = {
        "index.html": {"explorer.js", "opening.js"},
        "hosts": {"worker.js", "gatescope-embed.js", FILES["boot"], FILES["unpack"], WIDGET},
    }
    loaded = set().union(*by_page.values(), *(imports(file) for file in SCRIPTS))
    assert loaded == set(SCRIPTS)


def test_script_of_a_live_file_is_whole() -> None:
    whole = unpack_apart((STATIC / FILES["packed"]).read_bytes())[0].decode()
    assert not IMPORT.search(whole)
    assert "__VITE" not in whole, "a step of the build is missing"
    for part in imports("explorer.js"):
        marks = set(re.findall(r'data-testid="([a-z-]+)"', source(part)))
        assert {mark for mark in marks if mark not in whole} == set(), part


@pytest.mark.parametrize("file", SCRIPTS)
def test_server_sends_each_script(file: str, tmp_path: Path) -> None:
    page = Page(tmp_path)
    answer = page.get(f"/{file}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(("text/javascript", "application/javascript"))
    assert answer.text == source(file)
    assert page.get(f"/../static/{file}x").status_code == 404
