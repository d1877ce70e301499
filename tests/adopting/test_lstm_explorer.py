"""Recordings of lstm-explorer become traces whose self-check says what is true of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatescope import check
from gatescope.adopting import AdoptingError, read_lstm_explorer, steps_that_hold

FIELDS = dict(i="i_gate", f="f_gate", g="j_gate", o="o_gate", c="cs", h="hs")


def recording(steps: int = 12, neurons: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    """Gates drawn at random, and the states that follow from them: (T, N)."""
    random = np.random.default_rng(seed)
    a = {name: random.uniform(0.05, 0.95, (steps, neurons)) for name in "ifo"}
    a["g"] = random.uniform(-1, 1, (steps, neurons))
    a["c"] = np.zeros((steps, neurons))
    before = random.normal(size=neurons)
    for t in range(steps):
        before = a["c"][t] = a["f"][t] * before + a["i"][t] * a["g"][t]
    a["h"] = a["o"] * np.tanh(a["c"])
    return a


def written(path: Path, layers: list[dict[str, np.ndarray]], *, by_neuron: bool = True, digits: int = 3) -> Path:
    steps = len(layers[0]["c"])
    content: dict[str, Any] = {"chars": list(("aXb\n" * steps)[:steps])}
    for k in range(5):  # the published files have empty lists for the layers that there are not
        for name, field in FIELDS.items():
            values = np.round(layers[k][name], digits) if k < len(layers) else np.zeros((0, 0))
            content[f"{field}{k}"] = (values.T if by_neuron else values).tolist()
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("by_neuron", [True, False])
@pytest.mark.parametrize("digits", [3, 16])
def test_a_right_recording_holds(by_neuron: bool, digits: int, tmp_path: Path) -> None:
    layers = [recording(seed=0), recording(neurons=5, seed=1)]
    trace = read_lstm_explorer(written(tmp_path / "r.json", layers, by_neuron=by_neuron, digits=digits))
    assert list(trace.layers) == ["layer0", "layer1"]
    assert trace.text(0) == "aXb\naXb\naXb\n"[1:]
    for k, layer in enumerate(layers):
        for name, values in layer.items():
            np.testing.assert_allclose(trace[f"layer{k}"][name][0], values[1:], atol=0.5 * 10.0**-digits + 1e-7)
    assert check(trace).holds
    assert trace.attributes["precision"] == ("float16" if digits == 3 else "float32")
    assert [(holds, steps) for _, _, holds, steps in steps_that_hold(trace)] == [(11, 11)] * 4


def test_gates_of_the_wrong_step_are_found(tmp_path: Path) -> None:
    wrong = recording(steps=40)
    for name in "ifgo":
        wrong[name] = np.roll(wrong[name], 1, axis=0)
    trace = read_lstm_explorer(written(tmp_path / "r.json", [wrong]))
    report = check(trace)
    assert not report.holds
    assert {r.name for r in report.residuals if r.largest is not None and r.largest > report.tolerance} == {"c", "h"}
    for _, _, holds, steps in steps_that_hold(trace):
        assert holds < steps // 4


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"chars": None}, "expected a recording of lstm-explorer"),
        ({"chars": ["a"]}, "at least 2 characters, got 1"),
        ({"chars": ["ab", "c"]}, "expected a recording of lstm-explorer"),
        ({"cs0": []}, "got no layer"),
        ({"cs0": [[0.0] * 12, [0.0] * 11]}, "cs0"),
        ({"cs0": [["a"] * 12]}, "cs0"),
        ({"cs0": [[float("nan")] * 12] * 3}, "cs0"),
        ({"cs0": [[0.0] * 12]}, "expected lists of one shape in layer0"),
        ({"cs0": [[0.0] * 7] * 3}, "cs0"),
    ],
)
def test_other_files(change: dict[str, Any], match: str, tmp_path: Path) -> None:
    path = written(tmp_path / "r.json", [recording()])
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(AdoptingError, match=match):
        read_lstm_explorer(path)
