"""Recording of modules: the trace has the values that the module computes, and the self-check holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from gatescope import Intervention, ablate, check, clamp, nn, nudge, open_trace, patch, recorded_pieces, save_trace
from gatescope.trace import TraceError

EVERY_MODULE = [nn.RNN, nn.LSTM, nn.GRU, *nn.BUILT_IN.values()]


def drawn(kind: Any, seed: int = 0, **options: Any) -> tuple[Any, list[torch.Tensor]]:
    torch.manual_seed(seed)
    return kind(2, 3, 2, bidirectional=True, **options), [torch.randn(length, 2) for length in (2, 5, 1, 4)]


@pytest.mark.parametrize("kind", EVERY_MODULE, ids=lambda kind: kind.__name__)
def test_record_returns_the_values_of_forward(kind: Any) -> None:
    module, rows = drawn(kind)
    packed = pack_sequence(rows, enforce_sorted=False)
    trace = module.record(packed)
    output = pad_packed_sequence(module(packed)[0], batch_first=True)[0].detach().numpy()
    assert list(trace.layers) == ["layer0", "layer0_reverse", "layer1", "layer1_reverse"]
    assert trace.lengths.tolist() == [2, 5, 1, 4]
    padding = np.arange(5) >= trace.lengths[:, None]
    for k, layer in enumerate(("layer1", "layer1_reverse")):
        h = trace[layer]["h"]
        np.testing.assert_array_equal(h[~padding], output[..., 3 * k : 3 * k + 3][~padding])
        assert np.isnan(h[padding]).all()
    assert set(trace["layer0"]) == {*module.cell.signals, *module.cell.drives}
    report = check(trace)
    assert report.holds
    assert not report.unchecked
    assert report.largest < 1e-5
    assert trace.attributes["residual"] < 1e-5


@settings(max_examples=40)
@given(
    kind=st.sampled_from(EVERY_MODULE),
    layers=st.integers(1, 2),
    form=st.sampled_from(["batch", "batch first", "single", "packed"]),
    bidirectional=st.booleans(),
    started=st.booleans(),
    projected=st.integers(0, 2),
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_record_self_check_holds_for_every_form(
    kind: Any,
    layers: int,
    form: str,
    bidirectional: bool,
    started: bool,
    projected: int,
    lengths: list[int],
    seed: int,
) -> None:
    torch.manual_seed(seed)
    options: dict[str, Any] = {"proj_size": projected} if kind is nn.LSTM else {}
    module = kind(
        2, 3, layers, bidirectional=bidirectional, batch_first=form == "batch first", dtype=torch.float64, **options
    )
    rows = [torch.randn(length if form == "packed" else lengths[0], 2, dtype=torch.float64) for length in lengths]
    inputs: Any = pack_sequence(rows, enforce_sorted=False)
    if form != "packed":
        inputs = rows[0] if form == "single" else torch.stack(rows, 0 if module.batch_first else 1)
    directions = layers * (2 if bidirectional else 1)
    size = (directions,) if form == "single" else (directions, len(rows))
    states = [torch.rand(*size, module._size_of(name), dtype=torch.float64) for name in module.initial]
    hx = None if not started else states[0] if len(states) == 1 else tuple(states)
    trace = module.record(inputs, hx)
    assert trace.attributes["residual"] < 1e-12
    assert check(trace).largest < 1e-12
    count = 1 if form == "single" else len(rows)
    assert trace["layer0"]["h"].shape == (count, max(lengths) if form == "packed" else lengths[0], 3)


@pytest.mark.parametrize("layer", ["layer0", "layer1_reverse"])
def test_check_finds_fault_in_its_direction(layer: str) -> None:
    """The faults: a forget gate of the wrong step, and a state carried in the wrong direction."""
    module, rows = drawn(nn.LSTM)
    trace = module.record(pack_sequence(rows, enforce_sorted=False))
    shifted = dict(trace[layer]) | {"f": np.roll(trace[layer]["f"], 1, axis=1)}
    report = check(replace(trace, layers={**trace.layers, layer: shifted}))
    assert not report.holds
    assert {(r.layer, r.name) for r in report.residuals if (r.largest or 0) > 1e-5} == {(layer, "f"), (layer, "c")}
    other = "layer0_reverse" if layer == "layer0" else "layer1"
    swapped = replace(
        trace,
        layers={**trace.layers, layer: trace[other]},
        initial={**trace.initial, layer: trace.initial[other]},
    )
    wrong = {(r.layer, r.name) for r in check(swapped).residuals if (r.largest or 0) > 1e-5}
    assert wrong == {(layer, "c")}


def test_check_in_pieces_finds_the_same_residuals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of two steps. In the reverse direction, the previous step is in the next piece."""
    module, rows = drawn(nn.LSTM, dtype=torch.float32)
    trace = module.record(pack_sequence(rows, enforce_sorted=False))
    whole = check(trace)
    monkeypatch.setattr(recorded_pieces, "PIECE_VALUES", 6)
    assert len(recorded_pieces.pieces(trace["layer0"]["h"].shape)) == 12
    assert [r.largest for r in check(trace).residuals] == [r.largest for r in whole.residuals]


def test_record_finds_fault_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drives are computed from the weights again, in each direction of each layer."""
    import gatescope.nn.direction as direction

    module, rows = drawn(nn.GRU)
    correct = direction.run

    def wrong(*arguments: Any, **options: Any) -> Any:
        values, final = correct(*arguments, **options)
        return {name: value + 1e-3 if name == "u.z" else value for name, value in values.items()}, final

    monkeypatch.setattr(direction, "run", wrong)
    assert module.record(pack_sequence(rows, enforce_sorted=False)).attributes["residual"] > 1e-4


def test_record_sequence_of_batch_equals_sequence_alone() -> None:
    module, rows = drawn(nn.LSTM, dtype=torch.float32)
    trace = module.record(pack_sequence(rows, enforce_sorted=False))
    for k, row in enumerate(rows):
        alone = module.record(row)
        for layer in trace.layers:
            for name, values in alone[layer].items():
                np.testing.assert_allclose(trace[layer][name][k, : len(row)], values[0], rtol=1e-5, atol=1e-6)


def test_record_without_text_has_no_symbols(tmp_path: Path) -> None:
    module, rows = drawn(nn.LSTM)
    trace = module.record(pack_sequence(rows, enforce_sorted=False))
    assert (trace.steps["token"] == -1).all()
    with pytest.raises(ValueError, match="inputs=True"):
        _ = trace.vocabulary
    save_trace(trace, tmp_path / "trace", dtype="float32")
    stored = open_trace(tmp_path / "trace")
    assert list(stored.layers) == list(trace.layers)
    assert check(stored).largest < 1e-5
    np.testing.assert_array_equal(stored["layer1_reverse"]["c"][:], trace["layer1_reverse"]["c"])
    assert stored.attributes["layers"]["layer0_reverse"]["arrays"]["f"]["title"] == "forget gate"


def test_record_with_text_has_its_symbols(tmp_path: Path) -> None:
    module, rows = drawn(nn.LSTM)
    packed = pack_sequence(rows, enforce_sorted=False)  # of 2, 5, 1 and 4 steps
    trace = module.record(packed, text=["ab", "badly", "d", "ally"], inputs=True)
    assert [trace.text(k) for k in range(4)] == ["ab", "badly", "d", "ally"]
    assert trace.steps["token"][3].tolist() == ["abdly".index(symbol) for symbol in "ally"] + [-1]
    np.testing.assert_array_equal(trace.steps["input"][1], rows[1].numpy())
    save_trace(module.record(rows[1], text="badly"), tmp_path / "trace")
    assert open_trace(tmp_path / "trace").text(0) == "badly"
    assert module.record(rows[1], text="badly").text(0) == "badly"
    with pytest.raises(TraceError, match="Text of sequence 0: expected 5 symbols, one for each step, got 3"):
        module.record(rows[1], text="bad")


def test_record_does_not_change_the_module() -> None:
    module = nn.LSTM(2, 3, 2, dropout=0.9)
    x = torch.randn(5, 2, 2)
    before = torch.get_rng_state()
    trace = module.record(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert module.training
    assert all(value.grad is None for value in module.parameters())
    np.testing.assert_array_equal(trace["layer1"]["h"].swapaxes(0, 1), module.eval()(x)[0].detach().numpy())


def test_record_stores_the_engine(compiled: None) -> None:
    x = torch.randn(5, 2, 2)
    assert nn.LSTM(2, 3).record(x).attributes["engine"] == "native"
    assert nn.LSTM(2, 3, engine="plain").record(x).attributes["engine"] == "plain"


def test_record_without_drives() -> None:
    trace = nn.GRU(2, 3).record(torch.randn(5, 2, 2), drives=False)
    assert set(trace["layer0"]) == {"r", "z", "n", "h"}
    assert trace.attributes["residual"] < 1e-5


def test_record_half_precision() -> None:
    x = torch.randn(5, 2, 2)
    assert check(nn.LSTM(2, 3).half().record(x.half())).holds
    with pytest.raises(TraceError, match=r"got bfloat16.*module.float\(\)"):
        nn.LSTM(2, 3).bfloat16().record(x.bfloat16())


@pytest.mark.parametrize("kind", EVERY_MODULE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("engine", ["auto", "plain"])
def test_intervention_acts_on_its_target_only(kind: Any, engine: str) -> None:
    """The target: a layer, a direction, a sequence in the caller's order, and steps from its beginning."""
    module, rows = drawn(kind, engine=engine)
    packed = pack_sequence(rows, enforce_sorted=False)
    before = module.record(packed)
    change = Intervention(0, "h", 1, slice(1, 3), 0.0, 0.5, row=3)
    for forward, backward, layer in (((change,), (), "layer0"), ((), (change,), "layer0_reverse")):
        after = module.record(packed, interventions=forward, interventions_reverse=backward)
        assert after[layer]["h"][3, 1:3, 1].tolist() == [0.5, 0.5]
        np.testing.assert_array_equal(after[layer]["h"][:3], before[layer]["h"][:3])
        untouched = slice(0, 1) if layer == "layer0" else slice(3, None)
        np.testing.assert_array_equal(after[layer]["h"][3, untouched], before[layer]["h"][3, untouched])
        other = "layer0_reverse" if layer == "layer0" else "layer0"
        np.testing.assert_array_equal(after[other]["h"], before[other]["h"])
        assert not np.array_equal(after["layer1"]["h"][3], before["layer1"]["h"][3])
        output = module(packed, interventions=forward, interventions_reverse=backward)[0]
        padded = pad_packed_sequence(output, batch_first=True)[0].detach().numpy()
        np.testing.assert_array_equal(padded[3, :4, :3], after["layer1"]["h"][3, :4])


def test_interventions_of_every_kind_act() -> None:
    module = nn.LSTM(2, 3, 2)
    x = torch.randn(5, 2, 2)
    no_change = nudge(0, "c", slice(None), 0.0)
    torch.testing.assert_close(module(x, interventions=[no_change])[0], module(x)[0], rtol=0, atol=0)
    ablated = module(x, interventions=[ablate(1, "h", slice(None))])
    assert not ablated[0].any()
    assert not ablated[1][0][1].any()
    clamped = module.record(x, interventions=[clamp(0, "f", 2, 1.0)])
    assert (clamped["layer0"]["f"][..., 2] == 1).all()
    values = torch.randn(5)
    patched = module.record(x, interventions=[patch(0, "c", 0, values)])
    np.testing.assert_array_equal(patched["layer0"]["c"][0, :, 0], values.numpy())


def test_interventions_pass_gradients() -> None:
    module = nn.GRU(2, 3, dtype=torch.float64)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: module(v, interventions=[nudge(0, "h", 1, 0.3)])[0], (x,))
    module(x, interventions=[ablate(0, "h", slice(None))])[0].sum().backward()
    assert not x.grad.any()  # type: ignore[union-attr]


def test_intervention_on_missing_target_is_refused() -> None:
    module = nn.LSTM(2, 3)
    x = torch.randn(5, 2, 2)
    with pytest.raises(ValueError, match="expected one of layer0, got 1"):
        module(x, interventions=[ablate(1, "h", 0)])
    with pytest.raises(ValueError, match="expected a bidirectional module"):
        module(x, interventions_reverse=[ablate(0, "h", 0)])
    with pytest.raises(ValueError, match="expected one of i, f, g, o, c, h, got 'z'"):
        module.record(x, interventions=[ablate(0, "z", 0)])
    with pytest.raises(ValueError, match="neuron of an intervention: expected 0 to 2, got 3"):
        module(x, interventions=[ablate(0, "h", 3)])


def test_record_with_weights_of_torch_module() -> None:
    """The workflow for a trained model: load its weights and record the same outputs and their signals."""
    reference = torch.nn.LSTM(2, 3, 2, bidirectional=True, batch_first=True)
    twin = nn.LSTM(2, 3, 2, bidirectional=True, batch_first=True)
    twin.load_state_dict(reference.state_dict())
    x = torch.randn(4, 5, 2)
    trace = twin.record(x)
    expected = reference(x)[0].detach().numpy()
    np.testing.assert_allclose(trace["layer1"]["h"], expected[..., :3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace["layer1_reverse"]["h"], expected[..., 3:], rtol=1e-5, atol=1e-6)
