"""The lines of Python of *Share* run, and give the numbers of the table that is saved beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from gatescope import Run, clamp, record
from gatescope.vocabulary import Vocabulary
from tests.web.hosts import HOSTS, address_of, live_address
from tests.web.looking import View
from tests.web.test_diagram import own
from tests.web.test_share import saved, table
from tests.web.test_writing import noisy_run

TEXT = "aaXb\naaaXbaXb"
CELLS: dict[str, Any] = {"lstm": "lstm", "gru": "gru", "peephole": "peephole", "slstm": "slstm", "own": own}


@pytest.fixture(scope="session")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run of each cell, with weights that leave predictions open, and a second one with other weights."""
    folder = tmp_path_factory.mktemp("noisy")
    for k, (name, cell) in enumerate(CELLS.items()):
        noisy_run(folder / name, cell, k)
    noisy_run(folder / "other", "gru", 11)
    return folder


WORDS = Vocabulary.of_words(["the", "a", "cat", "dog", "sea", "sees", "hears", "runs", ",", ".", "?", "月"], end=None)
LINED = Vocabulary.of_words([*WORDS.symbols, "\n"], end="\n")
UNITS: dict[str, tuple[Vocabulary, str, list[str]]] = {
    "words": (WORDS, "the cat sees , a dog", ["1:a", "5:the", "8:dog"]),
    "lines": (LINED, "the cat sees\na dog hears", ["1:a", "3:\n", "6:.", "7:the"]),
    "ended": (LINED, "the cat zebra\n", ["1:a", "4:dog"]),
    "bytes": (Vocabulary.of_bytes(), "the cat", ["1:a", "6:b", "9:c"]),
    "characters": (Vocabulary.of_bytes(), "aé月b", ["0:C3", "2:A", "3:FF", "6:a"]),
}


@pytest.fixture(scope="session")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run that predicts words, one that predicts words up to an end mark, and one that predicts bytes."""
    folder = tmp_path_factory.mktemp("units")
    for k, (name, (vocabulary, _, _)) in enumerate(UNITS.items()):
        noisy_run(folder / name, "lstm", k, vocabulary)
    return folder


class Shared(View):
    """A page whose dialog *Share* is open."""

    def share(self, figure: str | None = None, **query: Any) -> None:
        """Follow a link, and open the dialog with a figure."""
        separator = "" if self.address.endswith(".html") else "/"
        self.page.goto(f"{self.address}{separator}?{urlencode({'view': 'network', **query}, doseq=True)}")
        expect(self.at("cursor-text")).not_to_be_empty()
        if "with" in query:
            expect(self.at("compare-sentence")).to_be_visible()
        if "branch" in query or "write" in query:
            expect(self.at("branch")).to_have_count(len(query.get("branch", [])))
            expect(self.at("written")).to_have_count(1)
        if "sum" in query:
            expect(self.at("contribution-total")).to_be_visible()
        if query.get("panel") == "space":
            expect(self.at("space-canvas")).to_have_attribute("data-steps", str(len(TEXT)))
        self.page.keyboard.press("e")
        expect(self.at("share")).to_be_visible()
        if figure is not None:
            self.at("share-figures").locator(f"input[value='{figure}']").check()

    def whole(self) -> None:
        """Choose the whole text."""
        self.at("share-scopes").get_by_label("the whole text").check()

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Save the table, and return its names and rows."""
        return table(saved(self, "share-csv")[1])

    def run_lines(self) -> dict[str, Any]:
        """Run the lines where the runs are, and return what they named."""
        lines = self.at("share-python").text_content() or ""
        names: dict[str, Any] = {}
        exec(compile(lines, "lines.py", "exec"), names)  # noqa: S102  as a reader runs them
        return names


@pytest.fixture
def shared(
    page: Page,
    start_server: Callable[[Path], str],
    noisy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Shared:
    """Open those runs on the local server, and let the lines find them."""
    (tmp_path / "runs").symlink_to(noisy)
    monkeypatch.chdir(tmp_path)
    return Shared(page, start_server(noisy), noisy)


def columns(names: list[str], rows: list[list[str]], prefix: str) -> NDArray[np.float64]:
    """Return the columns whose names begin so and end with the number of a neuron, (rows, columns)."""
    places = [k for k, name in enumerate(names) if name.startswith(prefix) and name.removeprefix(prefix).isdecimal()]
    return np.array([[float(row[k] or "nan") for k in places] for row in rows])


def close(page: NDArray[Any], python: NDArray[Any]) -> None:
    """Check that the engine of the page has the numbers of Python."""
    assert page.shape == python.shape
    np.testing.assert_allclose(page, python, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_lines_give_held_and_original_values(shared: Shared, cell: str) -> None:
    shared.share(run=cell, text=TEXT, signal="h", sort="number", hold=["0.2.h.0.9.2-", "0.4.h.-0.3.0-7"])
    shared.whole()
    names, rows = shared.table()
    found = shared.run_lines()
    close(columns(names, rows, "layer0.h."), found["values"])
    original = [[float(row[names.index(f"layer0.h.{n}.original")]) for n in range(7)] for row in rows]
    close(np.array(original), found["original"])
    assert np.abs(found["values"] - found["original"]).max() > 0.1


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("temperature", [0, 1])
def test_lines_give_the_continuation_and_its_branches(shared: Shared, cell: str, temperature: int) -> None:
    """Branches begin in the first sequence, in the last one, at an end mark, and in what was written."""
    query = {"run": cell, "text": TEXT, "signal": "h", "write": 9, "temperature": temperature, "seed": 3}
    branches = ["1:b", "4:X", "6:\n", f"{len(TEXT)}:a"]
    shared.share("continuation", **query, branch=branches, hold=["0.2.h.0.9.6-"])
    names, rows = shared.table()
    found = shared.run_lines()
    close(columns(names, rows, "layer0.h."), found["values"])
    after = [row[names.index("after")] for row in rows]
    assert list(dict.fromkeys(after)) == ["text", *branches]
    trace = record(Run(shared.runs / cell).network()[0], "aab")
    first = next(float(row[names.index("log_probability")]) for row in rows if row[0] == "1:b")
    assert first == pytest.approx(float(trace.steps["log_probability"][0, 1]), abs=1e-5)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("hold", [[], ["0.2.h.0.9.2-"]], ids=["free", "held"])
def test_lines_continue_words_and_bytes(
    page: Page,
    start_server: Callable[[Path], str],
    units: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unit: str,
    hold: list[str],
) -> None:
    """Branches begin in the text, behind an end mark and in what was written; an unknown word is read as well."""
    (tmp_path / "runs").symlink_to(units)
    monkeypatch.chdir(tmp_path)
    shared = Shared(page, start_server(units), units)
    _, text, branches = UNITS[unit]
    shared.share("continuation", run=unit, text=text, signal="h", write=9, branch=branches, hold=hold)
    names, rows = shared.table()
    close(columns(names, rows, "layer0.h."), shared.run_lines()["values"])
    assert list(dict.fromkeys(row[names.index("after")] for row in rows)) == ["text", *branches]


@pytest.mark.parametrize("host", HOSTS)
def test_lines_of_a_checkpoint_give_its_values(
    host: str,
    page: Page,
    start_server: Callable[[Path], str],
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Held values, and both sides of a comparison with a checkpoint, are those of `Run.network(step)`."""
    (tmp_path / "runs").symlink_to(runs)
    monkeypatch.chdir(tmp_path)
    run = Run(runs / "counter")
    first, last = run.checkpoints()[0], run.checkpoints()[-1]
    shared = Shared(page, address_of(host, start_server, runs, tmp_path, checkpoints=9), runs)
    shared.share(run="counter", text="aaXbb", signal="c", sort="number", checkpoint=first, hold="0.4.c.0.5.2-")
    shared.whole()
    names, rows = shared.table()
    change = clamp("layer0", "c", 4, 0.5, steps=slice(2, None))
    held, free = (
        record(run.network(first)[0], "aaXbb", interventions=changes)["layer0"]["c"][0] for changes in ([change], [])
    )
    close(columns(names, rows, "layer0.c."), held)
    close(np.array([[float(row[names.index(f"layer0.c.{n}.original")]) for n in range(10)] for row in rows]), free)
    close(shared.run_lines()["values"], held)
    shared.share(run="counter", text="aaXbb", signal="c", checkpoint=first, **{"with": f"checkpoint:{last}"})
    shared.whole()
    names, rows = shared.table()
    other = record(run.network(last)[0], "aaXbb")["layer0"]["c"][0]
    close(columns(names, rows, "A.layer0.c."), free)
    close(columns(names, rows, "B.layer0.c."), other)
    found = shared.run_lines()
    close(found["a"], free)
    close(found["b"], other)


@pytest.mark.parametrize("cell", CELLS)
def test_lines_give_both_sides_of_a_comparison(shared: Shared, cell: str) -> None:
    shared.share(run=cell, text=TEXT, signal="h", **{"with": "run:other", "hold": "0.2.h.0.9.2-"})
    shared.whole()
    names, rows = shared.table()
    found = shared.run_lines()
    pairs = {row["neuron"]: row["other"] for row in found["pairs"].where(reason="")}
    assert len(pairs) == 7
    for neuron, other in pairs.items():
        a, b = names.index(f"A.layer0.h.{neuron}"), names.index(f"B.layer0.h.{other}")
        assert b == a + 1
        close(
            np.array([[float(row[a]), float(row[b])] for row in rows]),
            np.stack([found["a"][:, neuron], found["b"][:, other]], 1),
        )


@pytest.mark.parametrize("beside", ["run:other", "text:aaXbb", "holds"])
def test_lines_give_the_difference_or_the_other_text(shared: Shared, beside: str) -> None:
    query = {"run": "lstm", "text": TEXT, "signal": "c", "with": beside, "hold": "0.2.c.0.9.2-", "rows": "difference"}
    shared.share(**query)
    shared.whole()
    names, rows = shared.table()
    found = shared.run_lines()
    if beside.startswith("text"):
        b = columns(names, rows, "B.layer0.c.")
        close(b[:5], found["b"])
        return
    values = np.array([[float(row[k]) for k, name in enumerate(names) if name.startswith("B-A.")] for row in rows])
    close(values, found["values"])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("space", ["pca", "3,5"])
def test_lines_give_the_path_through_the_space(shared: Shared, cell: str, space: str) -> None:
    shared.share("space", run=cell, text=TEXT, signal="h", panel="space", space=space, hold="0.2.h.0.9.2-")
    names, rows = shared.table()
    page = np.array([[float(row[names.index(axis)]) for axis in ("x", "y")] for row in rows])
    close(page, shared.run_lines()["values"])


@pytest.mark.parametrize(
    ("cell", "drive"), [("lstm", "u.i"), ("gru", "x.n"), ("peephole", "u.o"), ("slstm", "x.f"), ("own", "u.a")]
)
def test_lines_give_the_parts_of_a_drive(shared: Shared, cell: str, drive: str) -> None:
    place = {"neuron": 3, "step": 9, "panel": "diagram", "sum": drive, "hold": "0.2.h.0.9.2-"}
    shared.share(f"parts-{drive}", run=cell, text=TEXT, **place)
    names, rows = shared.table()
    found = shared.run_lines()
    close(np.array([float(row[names.index("part")]) for row in rows]), found["values"])
    recorded = found["trace"].sequence(1)["layer0"][drive][0, 9 - 5, 3]
    assert found["table"].about["total"] == pytest.approx(float(recorded), abs=1e-5)


def test_names_and_captions_say_what_is_compared(shared: Shared) -> None:
    shared.share(run="lstm", text=TEXT, signal="h", **{"with": "run:gru"})
    name, svg = saved(shared, "share-svg")
    assert "_vs_gru_" in name
    assert "Compared: A is lstm, B is gru." in svg.decode()
    shared.share(run="lstm", text=TEXT, **{"with": "text:aaXbb"})
    name, svg = saved(shared, "share-svg")
    assert "_vs_text-aaXbb_" in name
    assert "Compared with text B: aaXbb" in svg.decode()


def test_names_and_captions_say_what_is_written(shared: Shared) -> None:
    shared.share("strips", run="lstm", text="aaX", write=9, temperature=1, seed=3, branch=["1:b"])
    name, svg = saved(shared, "share-svg")
    assert "_writes-9-temperature-1-seed-3_branch-1-b_aaX" in name
    words = " ".join(svg.decode().split())
    assert "Written behind the text, temperature 1, seed 3:" in words
    assert "Branch: after step 1 it reads b, then, temperature 1, seed 3:" in words


def test_live_file_has_the_same_lines(page: Page, noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").symlink_to(noisy)
    monkeypatch.chdir(tmp_path)
    shared = Shared(page, live_address(noisy / "gru", tmp_path), noisy)
    shared.share("continuation", run="gru", text=TEXT, signal="h", write=9, branch=["1:b"], hold="0.2.h.0.9.6-")
    names, rows = shared.table()
    close(columns(names, rows, "layer0.h."), shared.run_lines()["values"])
    shared.share("parts-u.r", run="gru", text=TEXT, neuron=3, step=9, panel="diagram", sum="u.r")
    names, rows = shared.table()
    close(np.array([float(row[names.index("part")]) for row in rows]), shared.run_lines()["values"])
