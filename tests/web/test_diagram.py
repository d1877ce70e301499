"""The diagram of a cell: its values are Python's, and it is stepped through by mouse, keyboard and touch."""

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from gatescope import Run
from gatescope.cells.cell import define
from gatescope.configuration import configure
from gatescope.equations import exp, sigmoid, tanh
from gatescope.explorer.live import LiveOptions, live_run, write_live_file
from gatescope.tasks import TASKS
from gatescope.training import Settings, create_run, train
from tests.web.looking import View, eventually, expect_formula, formula
from tests.web.test_accessibility import AXE, check
from tests.web.watching import watched_page

TEXT = "aaaXbbb\n"
STEP, NEURON = 5, 2


@define(title="Own", paper="", titles=dict(a="soft sign", b="the same again", h="hidden state"))
def own(x, u, p, s):
    a = tanh(x.a + u.a + p.a * s.h)
    b = a / (exp(-s.h) + 2)
    return dict(a=a, b=b, h=(1 - sigmoid(x.k)) * b + sigmoid(x.k) * s.h)


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run of each cell whose diagram is compared with Python."""
    directory, task = tmp_path_factory.mktemp("cells"), TASKS["counter"]()
    for name in ("lstm", "gru", "peephole", "slstm", "mingru"):
        configuration = configure(task.vocabulary, name, [5])
        train(create_run(directory / name, task, configuration, Settings.recommended(task, steps=2)))
    configuration = configure(task.vocabulary, own, [5])
    train(create_run(directory / "own", task, configuration, Settings.recommended(task, steps=2)))
    return directory


@pytest.fixture
def diagrams(page: Page, start_server: Callable[[Path], str], cells: Path) -> View:
    """Open the page of those runs."""
    return View(page, start_server(cells), cells)


def values_of(words: str, known: dict[str, float]) -> float:
    """Compute the formula of a node as Python reads it, with the names in `known`."""
    code = words.rsplit(" = ", 1)[-1]
    names = {name: f"v{k}" for k, name in enumerate(sorted(known, key=len, reverse=True))}
    for name, variable in names.items():
        code = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.₋])", f" {variable} ", code)
    code = code.replace("log σ", "log_sigmoid").replace("σ", "sigmoid").replace("·", "*").replace("−", "-")
    code = re.sub(r"e\^\(([^)]*)\)", r"exp(\1)", code)
    code = re.sub(r"e\^( v\d+ )", r"exp(\1)", code)
    code = re.sub(r"e\^(-\S*\s*v\d+ )", r"exp(\1)", code)
    functions: dict[str, Any] = {
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
        "log_sigmoid": lambda x: -math.log1p(math.exp(-x)),
        "tanh": math.tanh,
        "exp": math.exp,
        "max": max,
        "__builtins__": {},
    }
    return eval(code.strip(), functions, {names[name]: value for name, value in known.items()})


def known_values(view: View, run: str) -> dict[str, float]:
    """Return what Python recorded of the neuron at the step: signals, drives, parameters, and the states before."""
    network = Run(view.runs / run).network()[0]
    recorded = view.recorded(run, TEXT).layers["layer0"]
    known = {name: float(values[NEURON, STEP]) for name, values in recorded.items()}
    known |= {f"{name}₋₁": float(values[NEURON, STEP - 1]) for name, values in recorded.items() if "." not in name}
    for k, name in enumerate(network.configuration.layers[0].cell.tape.parameters):
        known[f"p.{name}"] = float(network.parameters_of(0).neuron_weights[k][NEURON].detach())
    return known


def nodes(view: View) -> list[tuple[str, float]]:
    """Return the name of every node, as a screen reader reads it, and its full value."""
    read = "(all) => all.map((one) => [one.getAttribute('aria-label'), Number(one.dataset.value ?? NaN)])"
    return [(words.rsplit(": ", 1)[0], value) for words, value in view.at("diagram-node").evaluate_all(read)]


def check_nodes(view: View, run: str) -> None:
    """Check that every node of the diagram has the value of its formula, computed from what Python recorded."""
    expect(view.at("diagram-picture")).to_be_visible()
    known = known_values(view, run)
    found = nodes(view)
    assert len(found) > len(known) / 2
    for words, value in found:
        assert value == pytest.approx(values_of(words, known), abs=2e-6), words
        name = words.split(" = ")[0]
        if name in known:
            assert value == pytest.approx(known[name], abs=1e-6)
    printed = view.at("diagram-picture").locator(".value").all_text_contents()
    assert len(printed) >= len([words for words, _ in found if not words.isdecimal()])
    assert all("-" not in text for text in printed)


@pytest.mark.parametrize("run", ["lstm", "gru", "peephole", "slstm", "mingru", "own"])
def test_nodes_have_the_values_of_python(diagrams: View, run: str) -> None:
    diagrams.open(view="network", run=run, text=TEXT, neuron=NEURON, step=STEP, panel="diagram")
    check_nodes(diagrams, run)
    # Every operation once, each on one wire at least, and nothing outside of the picture.
    names = [words for words, _ in nodes(diagrams)]
    assert len(names) == len(set(names)) or run == "mingru"
    width = diagrams.at("diagram").evaluate("(one) => one.clientWidth")
    assert diagrams.at("diagram-picture").evaluate("(one) => one.clientWidth") <= width + 12


def test_tabs_follow_the_arrow_keys_and_the_address(diagrams: View) -> None:
    diagrams.open(view="network", run="lstm", text=TEXT, neuron=NEURON, step=STEP)
    page = diagrams.page
    expect(diagrams.at("panel-tab-equations")).to_have_attribute("aria-selected", "true")
    diagrams.at("panel-tab-equations").focus()
    page.keyboard.press("ArrowRight")
    expect(diagrams.at("panel-tab-diagram")).to_be_focused()
    expect(diagrams.at("panel-tab-diagram")).to_have_attribute("aria-selected", "true")
    expect(diagrams.at("diagram-picture")).to_be_visible()
    expect(page).to_have_url(re.compile("panel=diagram"))
    # The cursor stays where it is.
    expect(page).to_have_url(re.compile(f"step={STEP}"))
    page.keyboard.press("Home")
    expect(diagrams.at("signal-line-c")).to_be_visible()
    page.go_back()
    expect(diagrams.at("diagram-picture")).to_be_visible()
    page.reload()
    expect(diagrams.at("diagram-picture")).to_be_visible()


def test_keys_step_through_the_operations(diagrams: View) -> None:
    diagrams.open(view="network", run="lstm", text=TEXT, neuron=NEURON, step=STEP, panel="diagram")
    page = diagrams.page
    position, words = diagrams.at("diagram-position"), diagrams.at("diagram-words")
    expect(position).to_have_text("13 of 13")
    page.keyboard.press(".")
    expect(position).to_have_text("1 of 13")
    expect(words).to_contain_text("x.i + u.i = ")
    expect_formula(diagrams.at("diagram-equation"), "i = σ(x.i + u.i)")
    page.keyboard.press(".")
    expect(words).to_contain_text("i = ")
    expect(page).to_have_url(re.compile("operation=2"))
    picture = diagrams.at("diagram-picture").inner_html()
    assert sum(math.isnan(value) for _, value in nodes(diagrams)) == 11
    page.reload()
    expect(position).to_have_text("2 of 13")
    eventually(lambda: _assert_equal(diagrams.at("diagram-picture").inner_html(), picture))
    page.keyboard.press(",")
    expect(position).to_have_text("1 of 13")
    # The arrows go to another step of the text; the operations stay.
    page.keyboard.press("ArrowRight")
    expect(diagrams.at("panel-title")).to_contain_text(f"step {STEP + 1}")
    expect(position).to_have_text("1 of 13")
    # In the picture the arrows go from node to node, and each is read with its value.
    diagrams.page.locator("[data-testid=diagram-node][tabindex='0']").focus()
    page.keyboard.press("End")
    expect(page.locator(":focus")).to_have_attribute("data-name", "h")
    page.keyboard.press("ArrowUp")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("tanh.*not computed yet"))
    expect(diagrams.at("panel-title")).to_contain_text(f"step {STEP + 1}")


def _assert_equal(first: str, second: str) -> None:
    strip = re.compile(r' class="[^"]*"| tabindex="[^"]*"|<!--.*?-->')
    assert strip.sub("", first) == strip.sub("", second)


def test_mouse_scrubs_and_links_terms_and_wires(diagrams: View) -> None:
    diagrams.open(view="network", run="lstm", text=TEXT, neuron=NEURON, step=STEP, panel="diagram")
    diagrams.at("diagram-scrub").fill("3")
    expect(diagrams.at("diagram-position")).to_have_text("3 of 13")
    diagrams.at("diagram-back").click()
    expect(diagrams.at("diagram-position")).to_have_text("2 of 13")
    for _ in range(11):
        diagrams.at("diagram-on").click()
    expect(diagrams.at("diagram-position")).to_have_text("13 of 13")
    expect(diagrams.page).not_to_have_url(re.compile("operation="))
    # A node lights its term, and shows its equation.
    c = diagrams.page.locator("[data-testid=diagram-node][data-name=c]")
    c.click()
    expect_formula(diagrams.at("diagram-equation"), "c = f · c₋₁ + i · g")
    f = diagrams.page.locator("[data-testid=diagram-node][data-name=f]")
    # A term lights its node and the wires from it.
    diagrams.at("diagram-equation").locator("math").first.locator("mi", has_text="f").first.hover()
    expect(f).to_have_class(re.compile(r"\blit\b"))
    number = f.get_attribute("data-node")
    lit = diagrams.page.locator("[data-testid=diagram-wire].lit")
    assert {wire.get_attribute("data-from") for wire in lit.all()} == {number}
    # The colour of a wire is the sign of its value, and its width the size.
    limit = float(diagrams.at("diagram-legend").get_attribute("data-limit") or "nan")
    values = dict(enumerate(value for _, value in nodes(diagrams)))
    for wire in diagrams.at("diagram-wire").all():
        value = values[int(wire.get_attribute("data-from") or "-1")]
        assert ("negative" if value < 0 else "positive") in (wire.get_attribute("class") or "")
        width = float(wire.get_attribute("stroke-width") or "nan")
        assert width == pytest.approx(max(1, 7 * math.sqrt(min(1, abs(value) / limit))), abs=1e-6)


def test_larger_view_has_the_same_values(diagrams: View) -> None:
    diagrams.open(view="network", run="slstm", text=TEXT, neuron=NEURON, step=STEP, panel="diagram")
    expect(diagrams.at("diagram-picture")).to_have_attribute("data-across", "false")
    before = dict(nodes(diagrams))
    assert before
    diagrams.at("diagram-enlarge").click()
    dialog = diagrams.at("diagram-dialog")
    expect(dialog.get_by_test_id("diagram-picture")).to_have_attribute("data-across", "true")
    diagrams.page.keyboard.press(".")
    expect(dialog.get_by_test_id("diagram-position")).to_have_text("1 of 20")
    diagrams.page.keyboard.press(",")
    diagrams.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    # The cursor is still pinned, and the button has the focus again.
    expect(diagrams.page).to_have_url(re.compile(f"step={STEP}"))
    expect(diagrams.at("diagram-enlarge")).to_be_focused()
    diagrams.page.keyboard.press(".")
    diagrams.at("diagram-scrub").fill("20")
    eventually(lambda: _assert_nodes(diagrams, before))


def _assert_nodes(view: View, before: dict[str, float]) -> None:
    assert dict(nodes(view)) == before


def test_operations_are_played_unless_motion_is_reduced(diagrams: View) -> None:
    diagrams.open(view="network", run="lstm", text=TEXT, neuron=NEURON, step=STEP, panel="diagram")
    expect(diagrams.at("diagram-on")).to_be_visible()
    expect(diagrams.at("diagram-play")).to_have_count(0)
    diagrams.page.emulate_media(reduced_motion="no-preference")
    diagrams.at("diagram-play").click()
    expect(diagrams.at("diagram-position")).to_have_text("2 of 13")
    diagrams.at("diagram-play").click()
    expect(diagrams.at("diagram-play")).to_have_accessible_name("play the operations")


def parts_of(view: View, run: str, layer: str, drive: str) -> tuple[dict[str, float], float | None]:
    """Return weight times value of every source of a drive of the neuron at the step, and the bias, by Python."""
    network = Run(view.runs / run).network()[0]
    names, recorded = network.configuration.names, view.recorded(run, TEXT).layers
    k, (kind, gate) = names.index(layer), drive.split(".")
    tape, parameters = network.configuration.layers[k].cell.tape, network.parameters_of(k)
    if kind == "u":
        weights = parameters.recurrent_weights[tape.recurrent_drives.index(gate)].detach().numpy()[NEURON]
        return {f"neuron {n}": float(weights[n] * h[STEP - 1]) for n, h in enumerate(recorded[layer]["h"])}, None
    weights = parameters.input_weights[tape.input_drives.index(gate)].detach().numpy()[NEURON]
    bias = float(parameters.biases[tape.input_drives.index(gate)].detach()[NEURON])
    if k:
        below = recorded[names[k - 1]]["h"]
        return {f"{names[k - 1]} · {n}": float(weights[n] * h[STEP]) for n, h in enumerate(below)}, bias
    return {f"“{TEXT[STEP]}”": float(weights[network.configuration.vocabulary.symbols.index(TEXT[STEP])])}, bias


def check_parts(view: View, run: str, drive: str, layer: str = "layer0") -> None:
    """Check that the listed parts of a drive are the largest ones, and that all of them are the drive."""
    expect(view.at("contribution-total")).to_be_visible()
    parts, bias = parts_of(view, run, layer, drive)
    amount = "(all) => all.map((one) => [one.cells[0].innerText.trim(), Number(one.dataset.amount)])"
    rows = dict(view.at("contribution").evaluate_all(amount))
    largest = sorted(parts, key=lambda name: -abs(parts[name]))
    assert list(rows) == largest[: len(rows)]
    assert rows == pytest.approx({name: parts[name] for name in rows}, abs=1e-6)
    others = [parts[name] for name in largest[len(rows) :]]
    rest = [value for _, value in view.at("contribution-rest").evaluate_all(amount)]
    assert rest == pytest.approx([sum(others)] if others else [], abs=1e-6)
    assert [value for _, value in view.at("contribution-bias").evaluate_all(amount)] == (
        [] if bias is None else [pytest.approx(bias, abs=1e-6)]
    )
    drives = view.recorded(run, TEXT).layers[layer]
    total = float(view.at("contribution-total").get_attribute("data-amount") or "nan")
    assert total == pytest.approx(float(drives[drive][NEURON, STEP]), abs=2e-6)


@pytest.mark.parametrize(
    ("run", "drives"),
    [("lstm", "u.i x.f"), ("gru", "u.n x.z"), ("peephole", "u.o"), ("slstm", "u.f x.i"), ("own", "u.a x.k")],
)
def test_parts_of_drives_are_those_of_python(diagrams: View, run: str, drives: str) -> None:
    for drive in drives.split():
        diagrams.open(view="network", run=run, text=TEXT, neuron=NEURON, step=STEP, panel="diagram", sum=drive)
        check_parts(diagrams, run, drive)


def test_parts_of_upper_layers_lead_to_their_neurons(view: View) -> None:
    view.open(view="network", run="deep", layer="layer1", text=TEXT, neuron=NEURON, step=STEP, panel="diagram")
    # By keyboard.
    view.page.locator("[data-testid=diagram-node][data-name='x.z']").focus()
    view.page.keyboard.press("Enter")
    expect(view.page).to_have_url(re.compile("sum=x.z"))
    check_parts(view, "deep", "x.z", "layer1")
    view.page.reload()
    check_parts(view, "deep", "x.z", "layer1")
    first = view.at("contribution").first.locator("td").first.inner_text()
    view.at("contribution").first.get_by_role("button").click()
    layer, neuron = first.split(" · ")
    expect(view.at("panel-title")).to_contain_text(f"Neuron {neuron} · step {STEP}")
    expect(view.page).to_have_url(re.compile(f"layer={layer}"))


def test_parts_read_held_states(diagrams: View) -> None:
    held = f"0.3.h.0.5.{STEP - 1}"
    query = {"text": TEXT, "neuron": NEURON, "step": STEP, "panel": "diagram", "sum": "u.i", "hold": held}
    diagrams.open(view="network", run="lstm", **query)
    expect(diagrams.at("contribution-total")).to_be_visible()
    network = Run(diagrams.runs / "lstm").network()[0]
    weight = float(network.parameters_of(0).recurrent_weights[0][NEURON, 3].detach())
    row = diagrams.at("contribution").filter(has_text="neuron 3")
    assert float(row.get_attribute("data-amount") or "nan") == pytest.approx(0.5 * weight, abs=1e-6)
    diagrams.at("close-contributions").click()
    expect(diagrams.at("contributions")).to_have_count(0)


@pytest.fixture
def phone(browser: Browser, origins: set[str], start_server: Callable[[Path], str], cells: Path) -> Iterator[View]:
    """Open the page on a small screen with touch."""
    with watched_page(browser, origins, phone=True) as page:
        yield View(page, start_server(cells), cells)


def test_touch_steps_through_in_the_sheet(phone: View) -> None:
    phone.open(view="network", run="peephole", text=TEXT, neuron=NEURON, step=STEP)
    phone.at("sheet-more").tap()
    phone.at("panel-tab-diagram").tap()
    check_nodes(phone, "peephole")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    phone.at("diagram-on").tap()
    expect(phone.at("diagram-position")).to_have_text("1 of 16")
    phone.page.locator("[data-testid=diagram-node][data-name=c]").tap()
    expect_formula(phone.at("diagram-equation"), "c = f · c₋₁ + i · g")
    assert formula(phone.at("diagram-equation")).count("=") == 1  # c is not computed yet
    phone.page.locator("[data-testid=diagram-node][data-name='u.g']").tap()
    check_parts(phone, "peephole", "u.g")


def test_live_file_has_the_same_diagram(page: Page, cells: Path, tmp_path: Path) -> None:
    page.context.set_offline(True)
    path = tmp_path / "own.html"
    write_live_file(live_run(Run(cells / "own"), LiveOptions()), path)
    view = View(page, path.as_uri(), cells)
    view.page.goto(f"{view.address}?view=network&run=own&text=aaaXbbb%0A&neuron={NEURON}&step={STEP}&panel=diagram")
    check_nodes(view, "own")
    view.page.keyboard.press(".")
    expect(view.at("diagram-position")).to_contain_text("1 of")
    view.page.locator("[data-testid=diagram-node][data-name='u.a']").click()
    check_parts(view, "own", "u.a")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_diagram_is_accessible(diagrams: View, scheme: Any) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed; scripts/test-web installs it")
    diagrams.page.emulate_media(color_scheme=scheme)
    diagrams.open(view="network", run="peephole", text=TEXT, neuron=NEURON, step=STEP, panel="diagram", lang="zh")
    expect(diagrams.at("diagram-picture")).to_be_visible()
    diagrams.page.evaluate(AXE.read_text(encoding="utf-8"))
    check(diagrams, f"diagram, {scheme}")
    diagrams.at("diagram-enlarge").click()
    expect(diagrams.at("diagram-dialog")).to_be_visible()
    check(diagrams, f"large diagram, {scheme}")
