"""Every cell in each engine, against the NumPy loops of tests/reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import CELLS
from gatescope.engine import Engine, run
from tests.networks import EACH_CELL, parameters_of
from tests.reference import cells as reference


@pytest.mark.parametrize("name", EACH_CELL)
@pytest.mark.parametrize("joined", [False, True])
@given(data=st.data())
@settings(max_examples=8)
def test_run_agrees_with_reference(engine: Engine, name: str, joined: bool, data: st.DataObject) -> None:
    steps, batch, inputs, neurons = (data.draw(st.integers(1, 5)) for _ in range(4))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    cell = CELLS[name]
    weights = reference.draw(name, inputs, neurons, random, "float64", scale=1.5)
    x = random.normal(size=(steps, batch, inputs)) * 2
    state = {k: random.uniform(-0.9, 0.9, size=(batch, neurons)) for k in reference.REFERENCES[name].states}
    if name == "slstm":
        state["n"] = np.abs(state["n"]) + 0.1
    rows = [reference.run(name, weights, x[:, row], {k: v[row] for k, v in state.items()}) for row in range(batch)]
    keep = cell.signals if joined else (*cell.signals, *cell.drives)
    values, final = run(
        cell,
        parameters_of(name, weights, inputs, neurons),
        torch.from_numpy(x),
        {k: torch.from_numpy(v) for k, v in state.items()},
        keep=keep,
        engine=engine,
    )
    assert set(values) == set(keep)
    for key in keep:
        expected = np.stack([row[key] for row in rows], axis=1)
        np.testing.assert_allclose(values[key].numpy(), expected, rtol=1e-12, atol=1e-12, err_msg=key)
    assert set(final) == set(reference.REFERENCES[name].states)
    for key in final:
        expected = np.stack([row[key][-1] for row in rows])
        np.testing.assert_allclose(final[key].numpy(), expected, rtol=1e-12, atol=1e-12, err_msg=key)


def test_run_with_huge_drives_stays_finite(engine: Engine) -> None:
    """Drives near a thousand saturate every gate, and nothing overflows.

    The drives of the sLSTM are smaller: if all its first input gates are below exp(-745) times its forget gates, c / n
    is 0 / 0.
    """
    for name, cell in CELLS.items():
        scale = 200.0 if name == "slstm" else 700.0
        weights = reference.draw(name, 2, 3, np.random.default_rng(1), "float64", scale)
        x = np.random.default_rng(2).normal(size=(6, 2, 2))
        signals, _ = run(
            cell, parameters_of(name, weights, 2, 3), torch.from_numpy(x), keep=cell.signals, engine=engine
        )
        limited = set(cell.signals) - {"h"} if name == "elman_relu" else set(cell.signals)
        assert all(bool(signals[key].isfinite().all()) for key in limited), name
