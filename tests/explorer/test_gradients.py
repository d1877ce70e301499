"""Answers of the explorer about gradients: the numbers of the studies, or one sentence."""

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
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.gradient_map import EXACT_WORK, MAP_WORK, estimation
from gatescope.explorer.gradients import MAX_TEXT_STEPS
from gatescope.explorer.routes import make_app
from gatescope.sources import sequences_of
from gatescope.studies.gradients.backpropagation import saliency
from gatescope.studies.gradients.jacobians import Jacobians, jacobians_of
from gatescope.studies.gradients.products import product_map
from gatescope.studies.horizon import influence

PORT = 8791
TASK = TASKS["counter"](batch=2)
TEXT = "aaXbb"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    cells = {"lstm": ("lstm", (4,)), "deep": ("gru", (4, 3)), "none": ("feedforward", (3,)), "elman": ("elman", (3,))}
    for name, (cell, sizes) in cells.items():
        run = create_run(folder / name, TASK, configure(TASK.vocabulary, cell, sizes), Settings(4, report_every=2))
        train(run)
    return folder


class Page:
    """Sends the requests of the explorer's page."""

    def __init__(self, folder: Path) -> None:
        self.app: ASGIApp = make_app(Gallery([folder]), PORT)

    def send(self, run: str, what: str, body: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:
                return await client.post(f"/api/runs/{run}/{what}", json=body)

        return anyio.run(send)

    def map(self, run: str = "lstm", **body: Any) -> httpx.Response:
        return self.send(run, "gradients", {"text": TEXT, "layer": "layer0", **body})

    def connections(self, run: str = "lstm", **body: Any) -> httpx.Response:
        return self.send(run, "connections", {"text": TEXT, "by": "gradient", "step": 0, **body})

    def chain(self, run: str = "lstm", **body: Any) -> httpx.Response:
        requested = {"text": TEXT, "layer": "layer0", "state": "c", "neuron": 1, "after": 4, "before": 1}
        return self.send(run, "chain", {**requested, **body})


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(folder)


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


def jacobians_of_run(folder: Path, run: str = "lstm", text: str = TEXT, layer: int = 0) -> Jacobians:
    return jacobians_of(Run(folder / run).network()[0], text, layer)


def loop_norm(result: Jacobians, after: int, before: int) -> float:
    """Return the Frobenius norm of the product of all matrices, multiplied one after the other."""
    product = np.eye(result.width)
    for matrix in result.whole()[before + 1 : after + 1]:
        product = matrix @ product
    return float(np.linalg.norm(product))


# --- the map ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["lstm", "elman"])
def test_map_equals_norms_of_products(page: Page, folder: Path, run: str) -> None:
    arrays, metadata = unpacked(page.map(run))
    result = jacobians_of_run(folder, run)
    assert metadata["exact"]
    assert metadata["labels"] == list(TEXT)
    assert metadata["neurons"] == result.neurons
    for after in range(5):
        for before in range(5):
            inside = arrays["norm"][after, before]
            if before > after:
                assert np.isnan(inside)
            else:
                assert inside == pytest.approx(np.log(loop_norm(result, after, before)), rel=2e-6, abs=1e-6)


def test_map_arrays_equal_the_study(page: Page, folder: Path) -> None:
    arrays, metadata = unpacked(page.map())
    result = jacobians_of_run(folder)
    expected = product_map(result)
    for name in ("largest", "bypass", "rest"):
        np.testing.assert_array_equal(arrays[name], getattr(expected, name).astype(np.float32))
    for state in ("c", "h"):
        np.testing.assert_array_equal(arrays[f"norm.{state}"], expected.by_state[state].astype(np.float32))
    shares = result.shares()
    answer = [(term["to"], term["source"], term["name"]) for term in metadata["terms"]]
    assert sorted(answer) == sorted((term.to, term.source, term.name) for term in shares)
    for row, name in enumerate(answer):
        np.testing.assert_array_equal(arrays["shares"][row], shares[result.term(*name)].astype(np.float32))
    (direct,) = (term for term in metadata["terms"] if term["to"] == "c" and term["direct"])
    assert direct["formula"] == "diag(f)"


def test_map_is_nan_between_sequences(page: Page, folder: Path) -> None:
    arrays, metadata = unpacked(page.map(text="aXb\naaXbb\n"))
    assert metadata["labels"] == list("aXb\naaXbb\n")
    assert np.flatnonzero(arrays["start"]).tolist() == [0, 4]
    alone = product_map(jacobians_of_run(folder, text="aaXbb\n")).norm.astype(np.float32)
    np.testing.assert_allclose(arrays["norm"][4:, 4:], alone, rtol=1e-6)
    assert np.isnan(arrays["norm"][4:, :4]).all()
    assert np.isnan(arrays["norm"][:4, 4:]).all()


def test_map_exists_for_every_layer(page: Page, folder: Path) -> None:
    arrays, metadata = unpacked(page.map("deep", layer="layer1"))
    assert (metadata["neurons"], metadata["states"]) == (3, ["h"])
    assert arrays["norm"][4, 0] == pytest.approx(
        np.log(loop_norm(jacobians_of_run(folder, "deep", layer=1), 4, 0)), rel=1e-5
    )


def test_map_uses_the_weights_of_the_checkpoint(page: Page, folder: Path) -> None:
    first, metadata = unpacked(page.map(checkpoint=0))
    assert metadata["step"] == 0
    untrained = jacobians_of(Run(folder / "lstm").network(0)[0], TEXT)
    assert first["norm"][4, 1] == pytest.approx(np.log(loop_norm(untrained, 4, 1)), rel=1e-5)
    assert first["norm"][4, 1] != unpacked(page.map())[0]["norm"][4, 1]


def test_map_of_an_empty_text_is_empty(page: Page) -> None:
    arrays, metadata = unpacked(page.map(text=""))
    assert arrays["norm"].shape == (0, 0)
    assert metadata["labels"] == []


def test_map_of_one_character_has_one_pair(page: Page) -> None:
    arrays, metadata = unpacked(page.map(text="a"))
    assert arrays["norm"][0, 0] == pytest.approx(
        np.log(np.sqrt(8))
    )  # the norm of the identity for c and h of four neurons
    assert metadata["exponent"] is None


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_gradients_of_a_long_text_are_refused(page: Page) -> None:
    text = "a" * (MAX_TEXT_STEPS + 1)
    for answer in (page.map(text=text), page.connections(text=text), page.chain(text=text)):
        refused(answer, 413, f"at most {MAX_TEXT_STEPS}")


@pytest.mark.parametrize("states", [1, 2, 4])
@pytest.mark.parametrize("neurons", [1, 10, 32, 64, 128, 256, 512, 2048])
@pytest.mark.parametrize("steps", [1, 30, MAX_TEXT_STEPS])
def test_estimation_bounds_the_work_of_a_map(states: int, neurons: int, steps: int) -> None:
    vectors, furthest = estimation(states, neurons, steps)
    assert furthest >= 1
    if vectors is None:
        assert (states * neurons * steps) ** 2 <= EXACT_WORK
    else:
        pairs = min(steps / 2, furthest)
        assert states * neurons**2 * vectors * steps * pairs <= MAP_WORK or furthest == 8
        assert vectors >= 2 or vectors == states * neurons


def test_map_of_a_large_layer_is_marked_as_estimate(page: Page, folder: Path) -> None:
    text = "a" * MAX_TEXT_STEPS
    wide = create_run(folder / "wide", TASK, configure(TASK.vocabulary, "lstm", (40,)), Settings(1))
    train(wide)
    arrays, metadata = unpacked(page.map("wide", text=text[:20]))
    assert not metadata["exact"]
    assert metadata["vectors"] == 4
    assert arrays["norm"][0, 0] == pytest.approx(np.log(np.sqrt(80)), abs=1e-3)


# --- what a prediction hangs on --------------------------------------------------------------------------------------


def test_connections_by_gradient_equal_saliency(page: Page, folder: Path) -> None:
    arrays, metadata = unpacked(page.connections())
    network = Run(folder / "lstm").network()[0]
    (ids,) = sequences_of(network, TEXT)
    expected = saliency(network, ids)
    assert metadata["first"] == 0
    for row, t in enumerate(expected.places):
        np.testing.assert_allclose(arrays["connections"][t, : t + 1], expected.inputs[row, t::-1], rtol=1e-6)
        assert np.isnan(arrays["connections"][t, t + 1 :]).all()
        assert arrays["loss"][t] == pytest.approx(expected.losses[row], rel=1e-6)
    assert np.isnan(arrays["loss"][4])  # no following symbol


def test_connections_by_change_equal_influence(page: Page, folder: Path) -> None:
    arrays, _ = unpacked(page.connections(by="change"))
    network = Run(folder / "lstm").network()[0]
    (ids,) = sequences_of(network, TEXT)
    expected = influence(network, ids).divergence
    for s in range(5):
        for t in range(5):
            if t < s:
                assert np.isnan(arrays["connections"][t, s])
            else:
                assert arrays["connections"][t, s] == pytest.approx(expected[s, t - s], rel=1e-6)


def test_connections_between_sequences_are_nan(page: Page) -> None:
    for by in ("gradient", "change"):
        result = unpacked(page.connections(text="aXb\naXb", by=by))[0]["connections"]
        assert np.isnan(result[4:, :4]).all()
        assert (result[5, 4:6] > 0).all()


# --- chains ----------------------------------------------------------------------------------------------------------


def test_chain_has_factors_formulas_and_values(page: Page, folder: Path) -> None:
    answer = page.chain()
    assert answer.status_code == 200
    result = answer.json()
    gates = jacobians_of_run(folder).factors
    forget = next(values for term, values in gates.items() if term.name == "direct" and term.to == "c").numpy()
    columns = result["columns"]
    assert columns["step"] == [2, 3, 4]
    np.testing.assert_allclose(columns["direct"], forget[2:, 1])
    assert columns["product"][-1] == pytest.approx(forget[2, 1] * forget[3, 1] * forget[4, 1])
    (direct,) = result["direct"]
    assert direct == {"formula": "f", "expression": {"signal": "f"}}
    assert result["values"]["signal f"] == pytest.approx(columns["direct"])
    assert set(result["through"]) == {"u.i", "u.f", "u.g"}
    product = np.eye(8)
    for matrix, whole in zip(jacobians_of_run(folder).whole()[2:], columns["whole"], strict=True):
        product = matrix @ product
        assert whole == pytest.approx(product[1, 1])  # c is the first state


def test_chain_counts_steps_over_all_sequences(page: Page, folder: Path) -> None:
    result = page.chain(text="aXb\naaXbb\n", before=4, after=6).json()
    assert result["columns"]["step"] == [5, 6]
    alone = jacobians_of_run(folder, text="aaXbb\n").bypass["c", "c"].numpy()
    np.testing.assert_allclose(result["columns"]["direct"], alone[1:3, 1], rtol=1e-6)


def test_chain_of_equal_steps_is_empty(page: Page) -> None:
    assert page.chain(before=3, after=3).json()["columns"]["direct"] == []


def test_chain_without_direct_path_has_zero_product(page: Page) -> None:
    result = page.chain("elman", state="h").json()
    assert result["direct"] == []
    assert result["columns"]["product"] == [0.0, 0.0, 0.0]
    assert any(result["columns"]["whole"])


# --- what cannot be answered -----------------------------------------------------------------------------------------


def test_gradients_refuse_unknown_names_and_steps(page: Page) -> None:
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
def test_gradients_refuse_damaged_requests(page: Page, body: Any, words: str) -> None:
    refused(page.send("lstm", "gradients", body), 400, words)
