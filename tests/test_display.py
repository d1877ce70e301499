"""Objects in a console and a notebook: one short line, and HTML in which every text is escaped."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatescope import CELLS, TASKS, Cell, Network, Run, Vocabulary, check, create_run, define, record
from gatescope.display import MAX_CELL_CHARACTERS, fields_html, table_html
from gatescope.studies import Table

HOSTILE = "<script>alert('&\"')</script>"
VOCABULARY = Vocabulary(tuple("<>&\"'abc/\n"), end="\n")
MAX_REPR_CHARACTERS = 200


class Reader(HTMLParser):
    """Reads the tags and the text of HTML, and checks that every tag is closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open_tags: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open_tags == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert attrs == []
        self.open_tags.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def hostile_cell() -> Cell:
    @define(title=HOSTILE, paper=HOSTILE, titles={"h": HOSTILE})
    def own(x: Any, u: Any, p: Any, s: Any) -> Any:
        return {"h": x.h + u.h}

    return own


def hostile_run(path: Path) -> Run:
    return create_run(path / "<b>run&", TASKS["counter"]())


def made(kind: str, path: Path) -> Any:
    network = Network(VOCABULARY, cell=hostile_cell() if kind == "network" else "lstm", neurons=[3, 2])
    trace = record(network, "<b>abc&'\"</b>\n")
    return {
        "network": lambda: network,
        "trace": lambda: trace,
        "report": lambda: check(trace),
        "cell": hostile_cell,
        "table": lambda: Table.of([{HOSTILE: HOSTILE, "value": 0.5}], {HOSTILE: HOSTILE, "value": "a < b"}),
        "run": lambda: hostile_run(path),
    }[kind]()


@pytest.mark.parametrize("kind", ["network", "trace", "report", "cell", "table", "run"])
def test_object_has_a_short_line_and_escaped_html(kind: str, tmp_path: Path) -> None:
    shown = made(kind, tmp_path)
    assert len(repr(shown)) < MAX_REPR_CHARACTERS + len(str(tmp_path))
    assert "\n" not in repr(shown)
    page = Reader(shown._repr_html_())
    assert page.tags <= {"div", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    if kind in ("network", "cell", "table"):
        assert HOSTILE in page.texts


def test_cell_html_has_every_equation() -> None:
    texts = Reader(CELLS["lstm"]._repr_html_()).texts
    for name in CELLS["lstm"].signals:
        assert f"{name} = {CELLS['lstm'].formula(name)}" in texts


def test_trace_repr_is_short_for_many_steps() -> None:
    trace = record(Network(VOCABULARY, cell="lstm", neurons=[50]), "abc" * 100)
    assert repr(trace) == "<Trace 1 sequence, 300 steps; layer0: 50 neurons, i f g o c h>"


def test_table_html_shows_the_first_rows() -> None:
    table = Table({"k": np.arange(1000)}, {"k": "number"})
    assert repr(table) == "<Table 1,000 rows: k>"
    texts = Reader(table._repr_html_()).texts
    assert "shown: the first 20" in texts
    assert "19" in texts
    assert "20" not in texts


def test_damaged_run_html_shows_the_problem(tmp_path: Path) -> None:
    run = hostile_run(tmp_path)
    (run.path / "task.json").write_text("{", encoding="utf-8")
    (problem,) = [text for text in Reader(run._repr_html_()).texts if text.startswith("problem: ")]
    assert "task.json" in problem


def test_long_values_are_cut() -> None:
    html = fields_html("x", {"y": "z" * 1000}) + table_html(["a"], [["z" * 1000]])
    assert max(map(len, Reader(html).texts)) <= MAX_CELL_CHARACTERS + len("y: ")
