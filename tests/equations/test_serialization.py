"""Tapes and cells as JSON: they come back unchanged, and invalid data are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatescope import CELLS, Cell
from gatescope.equations import EquationError, from_json, to_json
from tests.networks import EACH_CELL


@pytest.mark.parametrize("name", EACH_CELL)
def test_stored_tape_and_cell_come_back(name: str) -> None:
    cell = CELLS[name]
    assert from_json(json.loads(json.dumps(to_json(cell.tape))), name) == cell.tape
    restored = Cell.from_json(json.loads(json.dumps(cell.to_json(), allow_nan=False)))
    assert restored == cell
    assert restored.tape.ranges == cell.tape.ranges


X, SQUASHED = ["drive", "x.h"], ["tanh", 0]
LONG = [X, *(["tanh", k] for k in range(998))]
DOUBLED = [X, *(["add", k, k] for k in range(60))]

MALICIOUS: list[Any] = [
    None,
    [],
    "x",
    {},
    {"nodes": {}, "signals": {}},
    {"nodes": [X], "signals": []},
    {"nodes": [X], "signals": None},
    {"nodes": [X], "signals": {}},
    {"nodes": [], "signals": {"h": 0}},
    {"nodes": [X, SQUASHED], "signals": {"h": 2}},
    {"nodes": [X, SQUASHED], "signals": {"h": -1}},
    {"nodes": [X, SQUASHED], "signals": {"h": True}},
    {"nodes": [X, SQUASHED], "signals": {"h": 1.0}},
    {"nodes": [X, SQUASHED], "signals": {"h": "1"}},
    {"nodes": [X, SQUASHED], "signals": {"c": 1}},
    {"nodes": [X, SQUASHED], "signals": {"h": 1, "../up": 0}},
    {"nodes": [X, SQUASHED], "signals": {"h": 1, "x.h": 0}},
    {"nodes": [X, SQUASHED], "signals": {"h": 1, "": 0}},
    {"nodes": [["tanh", 1], X], "signals": {"h": 0}},  # a line that reads a later one
    {"nodes": [X, ["tanh", 1]], "signals": {"h": 1}},  # a line that reads itself
    {"nodes": [X, ["tanh", -1]], "signals": {"h": 1}},
    {"nodes": [X, ["tanh", True]], "signals": {"h": 1}},
    {"nodes": [X, ["tanh", 0.0]], "signals": {"h": 1}},
    {"nodes": [X, ["tanh"]], "signals": {"h": 1}},
    {"nodes": [X, ["tanh", 0, 0]], "signals": {"h": 1}},
    {"nodes": [X, ["add", 0]], "signals": {"h": 1}},
    {"nodes": [X, ["__import__", 0]], "signals": {"h": 1}},
    {"nodes": [X, [["tanh"], 0]], "signals": {"h": 1}},
    {"nodes": [X, []], "signals": {"h": 0}},
    {"nodes": [X, None], "signals": {"h": 0}},
    {"nodes": [X, "tanh"], "signals": {"h": 0}},
    {"nodes": [X, {"tanh": 0}], "signals": {"h": 0}},
    {"nodes": [["drive", "h"]], "signals": {"h": 0}},
    {"nodes": [["drive", "y.h"]], "signals": {"h": 0}},
    {"nodes": [["drive", "x."]], "signals": {"h": 0}},
    {"nodes": [["drive", "x.a b"]], "signals": {"h": 0}},
    {"nodes": [["drive", 3]], "signals": {"h": 0}},
    {"nodes": [["drive", "x.h", "u.h"]], "signals": {"h": 0}},
    {"nodes": [X, X, ["add", 0, 1]], "signals": {"h": 2}},  # would have two matrices of one name
    {"nodes": [["parameter", "x.h"], X, ["add", 0, 1]], "signals": {"h": 2}},
    {"nodes": [["state", "c"]], "signals": {"h": 0}},
    {"nodes": [["constant", 1.0]], "signals": {"h": 0}},
    {"nodes": [["constant", "1"], X, ["add", 0, 1]], "signals": {"h": 2}},
    {"nodes": [["constant", True], X, ["add", 0, 1]], "signals": {"h": 2}},
    {"nodes": [["constant", None], X, ["add", 0, 1]], "signals": {"h": 2}},
    {"nodes": [["constant", float("nan")], X, ["add", 0, 1]], "signals": {"h": 2}},
    {"nodes": [["constant", float("inf")], X, ["add", 0, 1]], "signals": {"h": 2}},
    {"nodes": [["constant", 10**400], X, ["add", 0, 1]], "signals": {"h": 2}},
    {"nodes": [X] * 1001, "signals": {"h": 0}},
    {"nodes": LONG, "signals": {"h": 998}},  # a formula nested too deeply to read
    {"nodes": DOUBLED, "signals": {"h": 60}},  # 2 to the power of 60 terms in print
]


@pytest.mark.parametrize("data", MALICIOUS, ids=lambda data: str(data)[:60])
def test_from_json_invalid_tape_is_refused(data: Any) -> None:
    with pytest.raises(EquationError) as refused:
        from_json(data, "some cell")
    assert "some cell" in str(refused.value)
    assert len(str(refused.value)) < 400


def test_from_json_accepts_many_short_equations() -> None:
    nodes = [X, *(["tanh", k] for k in range(300))]
    signals = {**{f"s{k}": k for k in range(1, 300, 3)}, "h": 300}
    assert from_json({"nodes": nodes, "signals": signals}, "deep").signals["h"] == 300


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"title": None},
        {"paper": ["x"]},
        {"titles": []},
        {"titles": {"h": 3}},
        {"biases": "f"},
        {"biases": {"f": "1"}},
        {"biases": {"q": 1.0}},
        {"biases": {"f": float("nan")}},
        {"biases": {"f": True}},
        {"tape": None},
    ],
)
def test_from_json_invalid_cell_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(EquationError):
        Cell.from_json(CELLS["lstm"].to_json() | change)
