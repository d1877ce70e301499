"""Answers of the explorer about the paths of one weight: numbers that add up, or one sentence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from gatescope import TASKS, Run, Settings, configure, create_run, train
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.lesson import same_digits
from gatescope.explorer.routes import make_app
from gatescope.studies.gradients.backpropagation import contributions

PORT = 8791
TASK = TASKS["counter"](batch=2)
TEXT = "aaXbb\naXb\n"
CELLS = {"lstm": ("lstm", (4,)), "deep": ("gru", (4, 3)), "none": ("feedforward", (3,)), "elman": ("elman", (3,))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, (cell, sizes) in CELLS.items():
        run = create_run(folder / name, TASK, configure(TASK.vocabulary, cell, sizes), Settings(4, report_every=2))
        train(run)
    return folder


def request_fields(**changed: Any) -> dict[str, Any]:
    return {"text": TEXT, "layer": "layer0", "drive": "f", "to": 2, "source": 1, "step": 3, **changed}


def send(folder: Path, run: str, body: Any) -> httpx.Response:
    app = make_app(Gallery([folder]), PORT)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:
            return await client.post(f"/api/runs/{run}/ways", json=body)

    return anyio.run(send)


@pytest.mark.parametrize(
    ("run", "layer", "drive", "step", "read", "first"),
    [
        ("lstm", 0, "f", 3, "aXb", 1),
        ("lstm", 0, "o", 0, "a", 0),
        ("lstm", 0, "i", 7, "aX", 6),  # the second line starts from the initial state
        ("deep", 1, "z", 4, "Xbb", 2),
        ("elman", 0, "h", 2, "aaX", 0),
    ],
)
def test_paths_sum_to_the_gradient(
    folder: Path, run: str, layer: int, drive: str, step: int, read: str, first: int
) -> None:
    response = send(folder, run, request_fields(layer=f"layer{layer}", drive=drive, step=step))
    assert response.status_code == 200, response.text
    answer = response.json()
    assert ("".join(answer["read"]), answer["next"], answer["first"]) == (read, TEXT[step + 1], first)
    rows = answer["columns"]
    total = math.fsum(rows["value"])
    # Back-propagation through time over the same characters, without separate paths.
    network = Run(folder / run).network()[0]
    ids = network.configuration.vocabulary.encode(read + TEXT[step + 1])
    content = contributions(network, ids, [len(read) - 1])
    weight = f"layers.{layer}.recurrent_weights.{drive}"
    assert total == pytest.approx(content.total(weight)[2, 1], rel=1e-12, abs=1e-15)
    assert answer["autograd"] == pytest.approx(total, rel=1e-12, abs=1e-15)
    assert answer["about"]["total"] == pytest.approx(total, rel=1e-14, abs=0)
    assert answer["digits"] >= 12
    assert answer["by_step"] == pytest.approx(
        [content.of(weight, s)[2, 1] for s in range(len(read))], rel=1e-12, abs=1e-15
    )
    for factors, value in zip(rows["factors"], rows["value"], strict=True):
        assert math.prod(factors) == pytest.approx(value, rel=1e-14, abs=0)


@pytest.mark.parametrize(
    ("run", "changed", "status", "words"),
    [
        ("lstm", {"step": 10}, 400, "Step: expected a number from 0 to 9, got 10."),
        ("lstm", {"step": -1}, 400, "Step: expected a number from 0 to 9, got -1."),
        ("lstm", {"text": "", "step": 0}, 400, "Text: expected at least one step, got none."),
        ("lstm", {"step": 5}, 400, "Step 5: expected a following symbol that the network knows"),
        ("lstm", {"text": "aX?", "step": 1}, 400, "Step 1: expected a following symbol that the network knows"),
        ("lstm", {"layer": "layer1"}, 400, "Layer: expected one of layer0, got 'layer1'."),
        ("lstm", {"to": "2"}, 400, "field to: expected an integer, got '2'."),
        ("lstm", {"step": True}, 400, "field step: expected an integer, got True."),
        ("lstm", {"more": 1}, 400, "expected the fields text, layer, drive, to, source, step, checkpoint, got 'more'."),
        ("lstm", {"checkpoint": "best"}, 400, "field checkpoint: expected an integer, or null, got 'best'."),
        ("lstm", {"drive": "q"}, 409, "expected one of i, f, g, o, got 'q'."),
        ("lstm", {"to": 4}, 409, "neurons from 0 to 3"),
        ("deep", {"drive": "z"}, 409, "expected the last layer, layer1, got layer0."),
        ("none", {}, 409, "Recurrent drive of layer0: its cell has none"),
        ("gone", {}, 404, "Run: expected a run in the list, got 'gone'."),
    ],
)
def test_lesson_refuses_with_one_sentence(
    folder: Path, run: str, changed: dict[str, Any], status: int, words: str
) -> None:
    response = send(folder, run, request_fields(**changed))
    assert response.status_code == status, response.text
    message = response.json()["error"]
    assert words in message
    assert "Traceback" not in message


def test_lesson_request_needs_all_fields(folder: Path) -> None:
    sentences = (
        "expected a JSON object with text, layer, drive, to, source, step",
        "expected the field text (text), got none",
        "expected the field layer (text), got none",
    )
    for body, sentence in zip(([], {}, {"text": TEXT}), sentences, strict=True):
        response = send(folder, "lstm", body)
        assert response.status_code == 400
        assert sentence in response.json()["error"]


@pytest.mark.parametrize(
    ("one", "other", "digits"),
    [(0.0, 0.0, 16), (1.0, 1.0, 16), (1.0, -1.0, 0), (0.0, 1e-9, 0), (1000.0, 1000.3, 3), (1e-8, 1.0000004e-8, 6)],
)
def test_same_digits_counts_equal_digits(one: float, other: float, digits: int) -> None:
    assert same_digits(one, other) == same_digits(other, one) == digits
