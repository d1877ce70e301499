"""What the explorer answers about gradients: the numbers of the studies, within bounds, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from safetensors.numpy import load
from starlette.types import ASGIApp

from gatescope import TASKS, Run, Settings, configure, create_run, train
from gatescope.explorer.app import make_app
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.gradient_map import EXACT_WORK, MAP_WORK, estimation
from gatescope.explorer.gradients import MAX_TEXT_STEPS
from gatescope.sources import sequences_of
from gatescope.studies.gradients.backpropagation import saliency
from gatescope.studies.gradients.jacobians import Jacobians, jacobians_of
from gatescope.studies.gradients.products import product_map
from gatescope.studies.horizon import influence

PORT = 8791
TASK = TASKS["counter"](batch=2)
TEXT = "aaXbb"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    cells = {"lstm": ("lstm", (4,)), "deep": ("gru", (4, 3)), "none": ("feedforward", (3,)), "elman": ("elman", (3,))}
    for name, (cell, sizes) in cells.items():
        run = create_run(place / name, TASK, configure(TASK.vocabulary, cell, sizes), Settings(4, report_every=2))
        train(run)
    return place


class Page:
    """Asks as the explorer's own page does."""

    def __init__(self, place: Path) -> None:
        self.app: ASGIApp = make_app(Gallery([place]), PORT)

    def ask(self, run: str, what: str, body: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:
                return await client.post(f"/api/runs/{run}/{what}", json=body)

        return anyio.run(send)

    def map(self, run: str = "lstm", **body: Any) -> httpx.Response:
        return self.ask(run, "gradients", {"text": TEXT, "layer": "layer0", **body})

    def connections(self, run: str = "lstm", **body: Any) -> httpx.Response:
        return self.ask(run, "connections", {"text": TEXT, "by": "gradient", "step": 0, **body})

    def chain(self, run: str = "lstm", **body: Any) -> httpx.Response:
        asked = {"text": TEXT, "layer": "layer0", "state": "c", "neuron": 1, "after": 4, "before": 1}
        return self.ask(run, "chain", {**asked, **body})


@pytest.fixture(scope="module")
def page(place: Path) -> Page:
    return Page(place)


def unpacked(response: httpx.Response) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/octet-stream"
    body = response.content
    header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
    return load(body), {name: json.loads(value) for name, value in header["__metadata__"].items()}


def refused(response: httpx.Response, status: int, words: str) -> None:
    assert response.status_code == status, response.text
    message = response.json()["error"]
    assert words in message
    assert "Traceback" not in message
    assert len(message) < 400


def known(place: Path, run: str = "lstm", text: str = TEXT, layer: int = 0) -> Jacobians:
    return jacobians_of(Run(place / run).network()[0], text, layer)


def loop_norm(found: Jacobians, after: int, before: int) -> float:
    """The Frobenius norm of the product of the whole matrices, one after the other."""
    product = np.eye(found.width)
    for matrix in found.whole()[before + 1 : after + 1]:
        product = matrix @ product
    return float(np.linalg.norm(product))


# --- the map ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["lstm", "elman"])
def test_the_map_holds_the_norm_of_every_product(page: Page, place: Path, run: str) -> None:
    arrays, about = unpacked(page.map(run))
    found = known(place, run)
    assert about["exact"]
    assert about["labels"] == list(TEXT)
    assert about["neurons"] == found.neurons
    for after in range(5):
        for before in range(5):
            here = arrays["norm"][after, before]
            if before > after:
                assert np.isnan(here)
            else:
                assert here == pytest.approx(np.log(loop_norm(found, after, before)), rel=2e-6, abs=1e-6)


def test_the_other_arrays_are_those_of_the_study(page: Page, place: Path) -> None:
    arrays, about = unpacked(page.map())
    found = known(place)
    expected = product_map(found)
    for name in ("largest", "bypass", "rest"):
        np.testing.assert_array_equal(arrays[name], getattr(expected, name).astype(np.float32))
    for state in ("c", "h"):
        np.testing.assert_array_equal(arrays[f"norm.{state}"], expected.by_state[state].astype(np.float32))
    shares = found.shares()
    said = [(term["to"], term["source"], term["name"]) for term in about["terms"]]
    assert sorted(said) == sorted((term.to, term.source, term.name) for term in shares)
    for row, name in enumerate(said):
        np.testing.assert_array_equal(arrays["shares"][row], shares[found.term(*name)].astype(np.float32))
    (direct,) = (term for term in about["terms"] if term["to"] == "c" and term["direct"])
    assert direct["formula"] == "diag(f)"


def test_each_sequence_of_a_text_has_a_block_of_its_own(page: Page, place: Path) -> None:
    arrays, about = unpacked(page.map(text="aXb\naaXbb\n"))
    assert about["labels"] == list("aXb\naaXbb\n")
    assert np.flatnonzero(arrays["start"]).tolist() == [0, 4]
    alone = product_map(known(place, text="aaXbb\n")).norm.astype(np.float32)
    np.testing.assert_allclose(arrays["norm"][4:, 4:], alone, rtol=1e-6)
    assert np.isnan(arrays["norm"][4:, :4]).all()
    assert np.isnan(arrays["norm"][:4, 4:]).all()


def test_every_layer_can_be_asked_for(page: Page, place: Path) -> None:
    arrays, about = unpacked(page.map("deep", layer="layer1"))
    assert (about["neurons"], about["states"]) == (3, ["h"])
    assert arrays["norm"][4, 0] == pytest.approx(np.log(loop_norm(known(place, "deep", layer=1), 4, 0)), rel=1e-5)


def test_the_weights_of_a_checkpoint_are_those_that_are_used(page: Page, place: Path) -> None:
    first, about = unpacked(page.map(checkpoint=0))
    assert about["step"] == 0
    untrained = jacobians_of(Run(place / "lstm").network(0)[0], TEXT)
    assert first["norm"][4, 1] == pytest.approx(np.log(loop_norm(untrained, 4, 1)), rel=1e-5)
    assert first["norm"][4, 1] != unpacked(page.map())[0]["norm"][4, 1]


def test_an_empty_text_has_an_empty_map(page: Page) -> None:
    arrays, about = unpacked(page.map(text=""))
    assert arrays["norm"].shape == (0, 0)
    assert about["labels"] == []


def test_one_character_has_a_map_of_one_pair(page: Page) -> None:
    arrays, about = unpacked(page.map(text="a"))
    assert arrays["norm"][0, 0] == pytest.approx(np.log(np.sqrt(8)))  # the identity, of c and h of four neurons
    assert about["exponent"] is None


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_a_long_text_is_refused_in_a_sentence(page: Page) -> None:
    text = "a" * (MAX_TEXT_STEPS + 1)
    for answer in (page.map(text=text), page.connections(text=text), page.chain(text=text)):
        refused(answer, 413, f"at most {MAX_TEXT_STEPS}")


@pytest.mark.parametrize("states", [1, 2, 4])
@pytest.mark.parametrize("neurons", [1, 10, 32, 64, 128, 256, 512, 2048])
@pytest.mark.parametrize("steps", [1, 30, MAX_TEXT_STEPS])
def test_no_map_takes_more_than_a_few_seconds(states: int, neurons: int, steps: int) -> None:
    vectors, furthest = estimation(states, neurons, steps)
    assert furthest >= 1
    if vectors is None:
        assert (states * neurons * steps) ** 2 <= EXACT_WORK
    else:
        pairs = min(steps / 2, furthest)
        assert states * neurons**2 * vectors * steps * pairs <= MAP_WORK or furthest == 8
        assert vectors >= 2 or vectors == states * neurons


def test_an_estimate_says_that_it_is_one(page: Page, place: Path) -> None:
    text = "a" * MAX_TEXT_STEPS
    wide = create_run(place / "wide", TASK, configure(TASK.vocabulary, "lstm", (40,)), Settings(1))
    train(wide)
    arrays, about = unpacked(page.map("wide", text=text[:20]))
    assert not about["exact"]
    assert about["vectors"] == 4
    assert arrays["norm"][0, 0] == pytest.approx(np.log(np.sqrt(80)), abs=1e-3)


# --- what a prediction hangs on --------------------------------------------------------------------------------------


def test_connections_are_the_gradients_by_what_was_read(page: Page, place: Path) -> None:
    arrays, about = unpacked(page.connections())
    network = Run(place / "lstm").network()[0]
    (ids,) = sequences_of(network, TEXT)
    expected = saliency(network, ids)
    assert about["first"] == 0
    for row, t in enumerate(expected.places):
        np.testing.assert_allclose(arrays["connections"][t, : t + 1], expected.inputs[row, t::-1], rtol=1e-6)
        assert np.isnan(arrays["connections"][t, t + 1 :]).all()
        assert arrays["loss"][t] == pytest.approx(expected.losses[row], rel=1e-6)
    assert np.isnan(arrays["loss"][4])  # nothing came


def test_connections_by_intervention_are_changes_of_the_prediction(page: Page, place: Path) -> None:
    arrays, _ = unpacked(page.connections(by="change"))
    network = Run(place / "lstm").network()[0]
    (ids,) = sequences_of(network, TEXT)
    expected = influence(network, ids).divergence
    for s in range(5):
        for t in range(5):
            if t < s:
                assert np.isnan(arrays["connections"][t, s])
            else:
                assert arrays["connections"][t, s] == pytest.approx(expected[s, t - s], rel=1e-6)


def test_no_prediction_hangs_on_another_sequence(page: Page) -> None:
    for by in ("gradient", "change"):
        found = unpacked(page.connections(text="aXb\naXb", by=by))[0]["connections"]
        assert np.isnan(found[4:, :4]).all()
        assert (found[5, 4:6] > 0).all()


# --- chains ----------------------------------------------------------------------------------------------------------


def test_a_chain_has_the_factors_with_formula_and_numbers(page: Page, place: Path) -> None:
    answer = page.chain()
    assert answer.status_code == 200
    found = answer.json()
    gates = known(place).factors
    forget = next(values for term, values in gates.items() if term.name == "direct" and term.to == "c").numpy()
    columns = found["columns"]
    assert columns["step"] == [2, 3, 4]
    np.testing.assert_allclose(columns["direct"], forget[2:, 1])
    assert columns["product"][-1] == pytest.approx(forget[2, 1] * forget[3, 1] * forget[4, 1])
    (direct,) = found["direct"]
    assert direct == {"formula": "f", "expression": {"signal": "f"}}
    assert found["values"]["signal f"] == pytest.approx(columns["direct"])
    assert set(found["through"]) == {"u.i", "u.f", "u.g"}
    product = np.eye(8)
    for matrix, whole in zip(known(place).whole()[2:], columns["whole"], strict=True):
        product = matrix @ product
        assert whole == pytest.approx(product[1, 1])  # c is the first state


def test_a_chain_counts_steps_in_the_whole_text(page: Page, place: Path) -> None:
    found = page.chain(text="aXb\naaXbb\n", before=4, after=6).json()
    assert found["columns"]["step"] == [5, 6]
    alone = known(place, text="aaXbb\n").bypass["c", "c"].numpy()
    np.testing.assert_allclose(found["columns"]["direct"], alone[1:3, 1], rtol=1e-6)


def test_a_chain_without_steps_is_empty(page: Page) -> None:
    assert page.chain(before=3, after=3).json()["columns"]["direct"] == []


def test_a_cell_without_a_direct_path_says_so(page: Page) -> None:
    found = page.chain("elman", state="h").json()
    assert found["direct"] == []
    assert found["columns"]["product"] == [0.0, 0.0, 0.0]
    assert any(found["columns"]["whole"])


# --- what cannot be answered -----------------------------------------------------------------------------------------


def test_what_is_not_there_is_refused(page: Page) -> None:
    refused(page.map("nobody"), 404, "expected a run in the list")
    refused(page.map(layer="layer1"), 400, "Layer: expected one of layer0, got 'layer1'")
    refused(page.map(checkpoint=3), 409, "3")
    refused(page.map("none"), 409, "carries no state")
    refused(page.connections(step=5), 400, "from 0 to 4, got 5")
    refused(page.connections(step=-1), 400, "from 0 to 4, got -1")
    refused(page.connections(by="hearsay"), 400, "'hearsay'")
    refused(page.chain(neuron=4), 409, "neuron 4")
    refused(page.chain(state="f"), 409, "expected one of c, h")
    refused(page.chain(before=4, after=1), 409, "earlier")
    refused(page.chain(text="aXb\naXb", before=1, after=5), 400, "expected steps of one sequence")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"text": 3, "layer": "layer0"}, "field text: expected text, got 3"),
        ({"text": "a"}, "expected the field layer (text), got none"),
        ({"text": "a", "layer": "layer0", "colour": 1}, "expected the fields text, layer, checkpoint, got 'colour'"),
        (
            {"text": "a", "layer": "layer0", "checkpoint": "last"},
            "field checkpoint: expected an integer, or null, got 'last'",
        ),
        ([], "JSON object"),
    ],
)
def test_damaged_requests_are_refused(page: Page, body: Any, words: str) -> None:
    refused(page.ask("lstm", "gradients", body), 400, words)
