"""*Compare*: another run, other weights, another text, and the network without its holds beside the shown one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from gatescope import TASKS, Intervention, Run, Settings, Trace, configure, create_run, define, record, train
from gatescope.equations import sigmoid, tanh
from gatescope.explorer.live import LiveOptions, live_run
from gatescope.studies.matching import match
from tests.web.hosts import HOSTS, address_of, live_address
from tests.web.looking import View, eventually
from tests.web.watching import watched_page

TEXT = "aaaaXbbbb\naaXbb\naXb\n"
OTHER = "aaXbbb\naX"
KINDS = ("gru", "peephole", "slstm", "own")


@define(paper="")
def own(x, u, p, s):
    """Compute one step of a cell that nobody has published."""
    k = sigmoid(x.k + u.k)
    c = k * s.c + (1 - k) * tanh(x.n + u.n)
    h = tanh(c)
    return dict(k=k, c=c, h=h)


class Compared(View):
    """A page on a server or in a file."""

    def open(self, **query: Any) -> None:
        """Follow a link, and wait until its text is drawn."""
        separator = "" if self.address.endswith(".html") else "/"
        self.page.goto(f"{self.address}{separator}?{urlencode(query, doseq=True)}")
        expect(self.at("cursor-text")).not_to_be_empty()

    def beside(self, what: str, text: str = TEXT, **query: Any) -> None:
        """Put something beside the counter, and wait for it."""
        self.open(view="network", run="counter", text=text, **{"with": what}, **query)
        expect(self.at("compare-sentence")).to_be_visible()

    def query(self) -> dict[str, list[str]]:
        """Return the fields of the address."""
        return parse_qs(self.page.evaluate("location.search.slice(1)"))


def signal(trace: Trace, name: str) -> np.ndarray:
    """Return a signal of the first layer over all steps, (N, T)."""
    parts = [trace.sequence(k)["layer0"][name][0] for k in range(len(trace.lengths))]
    return np.concatenate(parts).T


def surprise(trace: Trace) -> np.ndarray:
    """Return the surprise after each step, (T,)."""
    parts = [trace.sequence(k).steps["log_probability"][0] for k in range(len(trace.lengths))]
    return -np.concatenate(parts)


def decimals(value: float, digits: int = 3) -> str:
    """Print a number as the page does."""
    if 0 < abs(value) < 0.5 * 10**-digits:
        return re.sub(r"e([+-])0*(\d+)", r"e\1\2", f"{value:.1e}").replace("e+", "e").replace("-", "−")
    return f"{value:.{digits}f}".replace("-", "−")


@pytest.fixture(scope="session")
def pairs_of_runs(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train networks of several cells on the task of the counter, and return the folder with all of them."""
    folder = tmp_path_factory.mktemp("pairs")
    for name in ("counter", "poem", "deep", "bytes"):
        shutil.copytree(runs / name, folder / name)
    counter = TASKS["counter"]()
    for kind in KINDS:
        cell = own if kind == "own" else kind
        neurons = 12 if kind == "gru" else 7
        settings = Settings.recommended(counter, steps=30)
        train(create_run(folder / kind, counter, configure(counter.vocabulary, cell, [neurons]), settings))
    return folder


@pytest.fixture
def compared(page: Page, start_server: Callable[[Path], str], pairs_of_runs: Path) -> Compared:
    """Open those runs on the local server."""
    return Compared(page, start_server(pairs_of_runs), pairs_of_runs)


@pytest.fixture(params=HOSTS)
def shown(
    request: pytest.FixtureRequest,
    page: Page,
    start_server: Callable[[Path], str],
    pairs_of_runs: Path,
    tmp_path: Path,
) -> Compared:
    """Open the counter on the local server, and in a live file with earlier weights."""
    return Compared(
        page, address_of(request.param, start_server, pairs_of_runs, tmp_path, checkpoints=3), pairs_of_runs
    )


def check_cell(view: Compared, row: int, step: int, parts: list[str]) -> None:
    """Point at a cell, and expect these values of both sides."""
    view.point(row, step)
    eventually(lambda: _check_parts(view.at("cursor-text").inner_text(), parts))


def _check_parts(line: str, parts: list[str]) -> None:
    assert [part for part in parts if part not in line] == [], line


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_values_and_loss_are_those_of_python(compared: Compared, kind: str) -> None:
    """Every pair, its r and its values, and the difference in nats."""
    first, second = (record(Run(compared.runs / name).network()[0], TEXT) for name in ("counter", kind))
    named = "c" if "c" in second["layer0"] else "h"
    table = match(first, second, signal="c", other_signal=named)
    a, b = signal(first, "c"), signal(second, named)
    compared.beside(f"run:{kind}")
    partners = {row["neuron"]: (row["other"], row["r"]) for row in table.where(reason="")}
    assert partners
    row = 0
    for neuron in range(len(a)):
        other, r = partners.get(neuron, (None, None))
        if other is not None and neuron in (0, 2, 5):
            step = (5 * neuron + 3) % len(TEXT)
            values = [
                f"A: c of neuron {neuron} = {decimals(float(a[neuron, step]))}",
                f"B: {named} of neuron {other} = {decimals(float(b[other, step]))}",
                f"r = {decimals(r)}",
            ]
            check_cell(compared, row, step, values)
            check_cell(compared, row + 1, step, values)
        row += 1 if other is None else 2
    losses = [float(np.nanmean(surprise(trace))) for trace in (first, second)]
    word = "better" if losses[1] < losses[0] else "worse"
    sentence = f"B is {decimals(abs(losses[1] - losses[0]))} nats {word} on this text: {decimals(losses[1])} against"
    expect(compared.at("compare-sentence")).to_contain_text(sentence)
    expect(compared.at("compare-sentence")).to_contain_text(f"{decimals(losses[0])} per prediction")


def test_neurons_without_partner_have_a_reason(compared: Compared) -> None:
    """The GRU has more neurons than the LSTM."""
    compared.beside("run:gru")
    traces = [record(Run(compared.runs / name).network()[0], TEXT) for name in ("counter", "gru")]
    table = match(*traces, signal="c", other_signal="h")
    left = [row["other"] for row in table if row["reason"] == "left over" and row["other"] >= 0]
    assert left
    expect(compared.at("compare-alone")).to_contain_text(f"B: neurons {', '.join(map(str, left))} without a partner")


def test_rows_of_difference_are_b_minus_a(compared: Compared) -> None:
    compared.beside("run:slstm", rows="difference", pairs="number", signal="h")
    first, second = (record(Run(compared.runs / name).network()[0], TEXT) for name in ("counter", "slstm"))
    change = signal(second, "h")[:7] - signal(first, "h")[:7]
    assert compared.picture().rows == 7
    compared.at("cell-table").locator("summary").click()
    cells = compared.at("cell-table").locator("tbody tr").nth(4).locator("td")
    for step in (0, 4, 7):
        assert float(cells.nth(step).inner_text().replace("−", "-")) == pytest.approx(change[4, step], abs=5e-4)


def test_choices_back_and_reload(compared: Compared) -> None:
    """Choose a run, change the pairs and the rows by mouse; Back undoes each, and a reload shows the same."""
    compared.open(view="network", run="counter", text=TEXT)
    compared.at("compare").click()
    compared.at("compare-search").fill("gru")
    compared.at("compare-run").first.click()
    expect(compared.at("compare-sentence")).to_contain_text("nats")
    assert compared.query()["with"] == ["run:gru"]
    sentence = compared.at("compare-sentence").inner_text()
    compared.at("pairs-number").click()
    compared.at("rows-difference").click()
    assert compared.query()["pairs"] == ["number"]
    assert compared.query()["rows"] == ["difference"]
    before = compared.picture().pixels
    compared.page.reload()
    expect(compared.at("compare-sentence")).to_have_text(sentence, use_inner_text=True)
    eventually(lambda: np.testing.assert_array_equal(compared.picture().pixels, before))
    compared.page.go_back()
    expect(compared.at("rows-both")).to_have_attribute("aria-pressed", "true")
    compared.page.go_back()
    expect(compared.at("pairs-matched")).to_have_attribute("aria-pressed", "true")
    compared.page.go_back()
    expect(compared.at("compare-view")).to_have_count(0)


def test_exchange_turns_the_comparison_round(compared: Compared) -> None:
    compared.beside("run:gru")
    first = compared.at("compare-sentence").inner_text()
    compared.at("compare-exchange").click()
    expect(compared.at("run-switcher")).to_contain_text("gru")
    assert compared.query()["with"] == ["run:counter"]
    sentence = compared.at("compare-sentence")
    expect(sentence).to_contain_text("better" if "worse" in first else "worse")
    compared.at("compare-stop").click()
    expect(compared.at("compare-view")).to_have_count(0)


def test_most_different_step_is_pinned(compared: Compared) -> None:
    compared.beside("run:gru")
    losses = [surprise(record(Run(compared.runs / name).network()[0], TEXT)) for name in ("counter", "gru")]
    step = int(np.nanargmax(np.abs(losses[1] - losses[0])))
    compared.at("compare-most").click()
    expect(compared.at("cursor-text")).to_contain_text(f"step {step} ·")
    expect(compared.page).to_have_url(re.compile(f"step={step}"))


def test_keys_choose_and_change_a_comparison(compared: Compared) -> None:
    compared.open(view="network", run="counter", text=TEXT)
    compared.at("strips").focus()
    keyboard = compared.page.keyboard
    keyboard.press("c")
    expect(compared.at("compare-search")).to_be_focused()
    keyboard.type("slstm")
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(compared.at("compare-sentence")).to_contain_text("nats")
    compared.at("strips").focus()
    keyboard.press("d")
    expect(compared.at("rows-difference")).to_have_attribute("aria-pressed", "true")
    keyboard.press("d")
    keyboard.press("ArrowRight")
    keyboard.press("ArrowDown")
    expect(compared.at("cursor-text")).to_contain_text("B − A")
    keyboard.press("c")
    compared.at("compare-end").focus()
    keyboard.press("Enter")
    expect(compared.at("compare-view")).to_have_count(0)


def test_checkpoint_stands_beside_the_best_weights(shown: Compared) -> None:
    run = Run(shown.runs / "counter")
    step = live_run(run, LiveOptions(checkpoints=3)).data["run"]["checkpoints"][0]
    shown.open(view="network", run="counter", text=TEXT)
    shown.at("compare").click()
    shown.at("compare-checkpoint").select_option(str(step))
    expect(shown.at("compare-sentence")).to_contain_text("worse")
    assert shown.query()["with"] == [f"checkpoint:{step}"]
    first, second = (record(run.network(one)[0], TEXT) for one in (None, step))
    a, b = signal(first, "c"), signal(second, "c")
    for neuron, at in ((0, 3), (2, 7)):
        parts = [
            f"A: c of neuron {neuron} = {decimals(float(a[neuron, at]))}",
            f"B: c of neuron {neuron} = {decimals(float(b[neuron, at]))}",
        ]
        check_cell(shown, 2 * neuron, at, parts)
    losses = [float(np.nanmean(surprise(trace))) for trace in (first, second)]
    expect(shown.at("compare-sentence")).to_contain_text(decimals(losses[1] - losses[0]))
    shown.at("pairs-matched").click()
    table = match(first, second, signal="c")
    row = next(iter(table.where(reason="")))
    check_cell(shown, 2 * row["neuron"], 3, [f"r = {decimals(row['r'])}"])


def test_text_stands_beside_another_text(shown: Compared) -> None:
    network = Run(shown.runs / "counter").network()[0]
    shown.open(view="network", run="counter", text=TEXT)
    shown.at("compare").click()
    shown.at("compare-another").fill("aX")
    shown.at("compare-use").click()
    expect(shown.at("compare-sentence")).to_contain_text("per prediction")
    shown.at("compare-text").fill(OTHER)
    first, second = record(network, TEXT), record(network, OTHER)
    losses = [float(np.nanmean(surprise(trace))) for trace in (first, second)]
    better, worse = ("A", losses) if losses[0] < losses[1] else ("B", losses[::-1])
    expect(shown.at("compare-sentence")).to_contain_text(
        f"text {better} better, by {decimals(worse[1] - worse[0])} nats: {decimals(worse[0])} against"
    )
    b = signal(second, "c")
    check_cell(shown, 2 * 4 + 1, 4, [f"B: c of neuron 4 = {decimals(float(b[4, 4]))}"])
    shown.page.reload()
    expect(shown.at("compare-text")).to_have_value(OTHER)
    shown.at("compare-exchange").click()
    expect(shown.at("compare-note").first).to_contain_text(f"B goes on for {len(TEXT) - len(OTHER)} steps")


def test_held_network_stands_beside_the_unheld(shown: Compared) -> None:
    network = Run(shown.runs / "counter").network()[0]
    shown.open(view="network", run="counter", text=TEXT, hold="0.4.c.0.2-")
    shown.at("compare").click()
    shown.at("compare-holds").click()
    expect(shown.at("compare-sentence")).to_contain_text("nats")
    changes = [
        Intervention("layer0", "c", 4, steps=slice(2, None), row=0),
        Intervention("layer0", "c", 4, row=slice(1, None)),
    ]
    held, free = record(network, TEXT, interventions=changes), record(network, TEXT)
    a, b = signal(held, "c"), signal(free, "c")
    parts = [f"A: c of neuron 3 = {decimals(float(a[3, 8]))}", f"B: c of neuron 3 = {decimals(float(b[3, 8]))}"]
    check_cell(shown, 6, 8, parts)
    losses = [float(np.nanmean(surprise(trace))) for trace in (held, free)]
    expect(shown.at("compare-sentence")).to_contain_text(decimals(abs(losses[1] - losses[0])))


def test_runs_of_other_units_are_refused(page: Page, start_server: Callable[[Path], str], kinds: Path) -> None:
    """Words beside tokens and numbers: the list says why, and so does a link."""
    view = Compared(page, start_server(kinds), kinds)
    view.open(view="network", run="opinion", text="the cat sees", **{"with": "run:labels"})
    expect(view.at("compare-problem")).to_have_text(
        "opinion reads words, labels reads tokens: their steps do not correspond."
    )
    view.at("compare").click()
    for each in view.at("compare-run").all():
        expect(each).to_be_disabled()
    expect(view.at("compare-box")).to_contain_text("opinion reads words, sum reads numbers")
    view.page.keyboard.press("Escape")
    view.open(view="network", run="frames", **{"with": "run:sum"})
    expect(view.at("compare-problem")).to_contain_text("frames reads 9 numbers per step, sum reads 2")


def test_vocabularies_that_differ_are_named(compared: Compared) -> None:
    compared.open(view="network", run="counter", text=TEXT, **{"with": "run:deep"})
    known = [set(Run(compared.runs / name).configuration().vocabulary.symbols) for name in ("counter", "deep")]
    assert known[0] & known[1]
    expect(compared.at("compare-note").first).to_contain_text(f"Both know {len(known[0] & known[1])} symbol")
    compared.open(view="network", run="counter", text=TEXT, **{"with": "run:poem"})
    assert known[0] & set(Run(compared.runs / "poem").configuration().vocabulary.symbols) == {"\n"}
    expect(compared.at("compare-note").first).to_contain_text("Both know 1 symbol: “⏎”.")


@pytest.mark.parametrize(
    ("what", "sentence"),
    [("run:nothing", "nothing"), ("holds", "Nothing is held"), ("run:bytes", "reads bytes")],
)
def test_impossible_comparison_says_why(compared: Compared, what: str, sentence: str) -> None:
    compared.open(view="network", run="counter", text=TEXT, **{"with": what})
    expect(compared.at("compare-problem")).to_contain_text(sentence)
    check = compared.at("cursor-text")
    compared.point(3, 5)
    expect(check).to_contain_text("A: c of neuron 3")


@pytest.mark.parametrize("what", ["checkpoint:7", "run:", "nonsense", "checkpoint:x"])
def test_link_with_a_wrong_side_is_corrected(compared: Compared, what: str) -> None:
    compared.open(view="network", run="counter", text=TEXT, **{"with": what})
    expect(compared.at("link-note")).to_contain_text("The network stands alone.")
    expect(compared.at("compare-view")).to_have_count(0)


def test_live_file_of_one_run_says_how_to_get_others(page: Page, runs: Path, tmp_path: Path) -> None:
    address = live_address(runs / "counter", tmp_path)
    view = Compared(page, address, runs)
    view.open(view="network", run="counter", text=TEXT)
    view.at("compare").click()
    expect(view.at("compare-no-runs")).to_contain_text("gatescope explore")
    expect(view.at("compare-no-checkpoints")).to_contain_text("--checkpoints 12")


def test_python_lines_compute_the_pairs(compared: Compared, tmp_path: Path) -> None:
    compared.beside("run:gru")
    (tmp_path / "runs").symlink_to(compared.runs)
    lines = compared.at("compare-python").text_content() or ""
    done = subprocess.run(
        [sys.executable, "-c", f"{lines}\nprint(pairs['r'][0], worse)"], cwd=tmp_path, check=True, capture_output=True
    )
    r, worse = map(float, done.stdout.split())
    first, second = (record(Run(compared.runs / name).network()[0], TEXT) for name in ("counter", "gru"))
    assert r == match(first, second, signal="c", other_signal="h")["r"][0]
    expect(compared.at("compare-sentence")).to_contain_text(decimals(abs(worse)))


@pytest.fixture
def touched(browser: Browser, origins: set[str]) -> Iterator[Page]:
    """Open a page on a phone."""
    with watched_page(browser, origins, phone=True) as page:
        yield page


def test_comparison_by_touch_on_a_phone(
    touched: Page, start_server: Callable[[Path], str], pairs_of_runs: Path
) -> None:
    view = Compared(touched, start_server(pairs_of_runs), pairs_of_runs)
    view.open(view="network", run="counter", text=TEXT)
    view.at("compare").tap()
    view.at("compare-run").filter(has_text="slstm").tap()
    expect(view.at("compare-sentence")).to_contain_text("nats")
    view.at("rows-difference").tap()
    view.at("strips-canvas").tap(position=view.position(2, 4))
    expect(view.at("cursor-text")).to_contain_text("step 4 ·")
    assert touched.evaluate("document.documentElement.scrollWidth") <= 390
