"""Watching: the outputs of the model do not change, and the traces agree with an independent loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

import gatescope
from gatescope.features.brackets import family
from gatescope.studies import Steps
from gatescope.studies.health import saturation
from gatescope.studies.labels import Search, labels
from gatescope.studies.passages import passages
from gatescope.trace import TraceError
from gatescope.watching import WatchError

KINDS = ("LSTM", "GRU", "RNN")


class Tagger(nn.Module):
    """A typical model, in which the recurrent module is one of several."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 5)
        self.encoder = nn.ModuleDict({"rnn": getattr(nn, kind)(5, 7, **options)})
        self.head = nn.Linear(7 * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, ids: Tensor) -> Tensor:
        hidden, _ = self.encoder["rnn"](self.embed(ids))
        return self.head(hidden)


def lstm_by_hand(module: nn.LSTM, inputs: Tensor, h: Tensor, c: Tensor) -> dict[str, np.ndarray]:
    """Return the signals (T, B, N) of the first layer of an LSTM, computed step by step in float64."""
    w, u, b, d = (
        getattr(module, f"{name}_l0").detach().double().numpy()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    hidden, cell = h.double().numpy(), c.double().numpy()
    signals: dict[str, list[np.ndarray]] = {name: [] for name in "ifgoch"}
    for x in inputs.detach().double().numpy():
        i, f, g, o = np.split(x @ w.T + hidden @ u.T + b + d, 4, axis=1)
        i, f, o, g = *(1 / (1 + np.exp(-v)) for v in (i, f, o)), np.tanh(g)
        cell = f * cell + i * g
        hidden = o * np.tanh(cell)
        for name, value in zip("ifgoch", (i, f, g, o, cell, hidden), strict=True):
            signals[name].append(value.copy())
    return {name: np.array(values) for name, values in signals.items()}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(KINDS),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    batch_first=st.booleans(),
    bias=st.booleans(),
    form=st.sampled_from(("batch", "single", "packed")),
    started=st.booleans(),
    projected=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_watch_keeps_outputs_bitwise_and_trace_holds(
    kind: str,
    layers: int,
    bidirectional: bool,
    batch_first: bool,
    bias: bool,
    form: str,
    started: bool,
    projected: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    options: dict[str, Any] = {"proj_size": 2} if projected and kind == "LSTM" else {}
    module = getattr(nn, kind)(
        3, 4, num_layers=layers, bias=bias, batch_first=batch_first, bidirectional=bidirectional, **options
    )
    lengths = [5, 1, 3]
    inputs: Any = {
        "batch": torch.randn(3, 5, 3) if batch_first else torch.randn(5, 3, 3),
        "single": torch.randn(5, 3),
        "packed": pack_sequence([torch.randn(n, 3) for n in lengths], enforce_sorted=False),
    }[form]
    directions = layers * (2 if bidirectional else 1)
    rows = () if form == "single" else (3,)
    h = torch.randn(directions, *rows, options.get("proj_size", 4))
    hx = ((h, torch.randn(directions, *rows, 4)) if kind == "LSTM" else h) if started else None
    expected, expected_final = module(inputs, hx)
    with gatescope.watch(module) as watched:
        outputs, final = module(inputs, hx)
    for actual, value in zip(_flat(outputs, final), _flat(expected, expected_final), strict=True):
        assert torch.equal(actual, value)

    trace = watched[""]
    report = gatescope.check(trace)
    assert report.holds
    assert not report.unchecked
    assert trace.attributes["residual"] <= 1e-5
    assert trace.attributes["difference"] < 1e-5
    signals = watched.calls("")[0].signals()
    assert list(signals) == list(trace.layers)
    for layer, arrays in signals.items():
        for name, values in arrays.items():
            for row, length in enumerate(trace.lengths):
                assert np.array_equal(values[:length, row].numpy(), trace[layer][name][row, :length])
    ends = [""] if not bidirectional else ["", "_reverse"]
    assert list(trace.layers) == [f"layer{k}{end}" for k in range(layers) for end in ends]
    assert trace.lengths.tolist() == {"single": [5], "packed": lengths}.get(form, [5, 5, 5])
    if not options:  # the trace has the module's own hidden states, bit for bit
        batch_first_outputs = outputs
        if form == "packed":
            batch_first_outputs = pad_packed_sequence(outputs, batch_first=True)[0]
        elif form == "single":
            batch_first_outputs = outputs.unsqueeze(0)
        elif not batch_first:
            batch_first_outputs = outputs.transpose(0, 1)
        for k, end in enumerate(ends):
            recorded = trace[f"layer{layers - 1}{end}"]["h"]
            own = batch_first_outputs[..., 4 * k : 4 * (k + 1)].detach().numpy()
            for row, length in enumerate(trace.lengths):
                assert np.array_equal(recorded[row, :length], own[row, :length])
                assert np.isnan(recorded[row, length:]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_trace_rounding_does_not_grow_over_steps(kind: str) -> None:
    """The trace holds even with weights so large that the last digit of a state decides about later states."""
    torch.manual_seed(0)
    module = getattr(nn, kind)(3, 40)
    with torch.no_grad():
        for weights in module.parameters():
            weights.mul_(20)
    inputs = torch.randn(1000, 1, 3)
    with gatescope.watch(module) as watched:
        module(inputs)
    double, _ = module.double()(inputs.double())
    trace = watched[""]
    difference = abs(trace["layer0"]["h"][0] - double[:, 0].detach().numpy()).max(1)
    assert difference[:3].max() < 1e-4
    assert difference[500:].max() > 0.1, "a run in float64 should have diverged by then"
    assert trace.attributes["residual"] <= 1e-5
    assert trace.attributes["difference"] <= 1e-4
    signals = watched.calls("")[0].signals()["layer0"]
    for name, values in signals.items():
        assert np.array_equal(values[:, 0].numpy(), trace["layer0"][name][0])


def _flat(outputs: Any, final: Any) -> list[Tensor]:
    data = outputs.data if hasattr(outputs, "batch_sizes") else outputs
    return [data, *(final if isinstance(final, tuple) else (final,))]


@pytest.mark.parametrize("started", [False, True])
def test_gates_agree_with_loop_by_hand(started: bool) -> None:
    torch.manual_seed(4)
    module = nn.LSTM(3, 6)
    inputs = torch.randn(9, 2, 3)
    h, c = (torch.randn(1, 2, 6) if started else torch.zeros(1, 2, 6) for _ in range(2))
    with gatescope.watch(module) as watched:
        module(inputs, (h, c)) if started else module(inputs)
    expected = lstm_by_hand(module, inputs, h[0], c[0])
    trace = watched[""]
    signals = watched.calls("")[0].signals()["layer0"]
    for name, values in expected.items():
        np.testing.assert_allclose(trace["layer0"][name], values.transpose(1, 0, 2), atol=2e-6)
        np.testing.assert_allclose(signals[name].numpy(), values, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_watch_finds_modules_by_name(kind: str) -> None:
    torch.manual_seed(0)
    model = Tagger(kind, batch_first=True, bidirectional=True)
    ids = torch.randint(11, (2, 6))
    expected = model(ids)
    with gatescope.watch(model) as watched:
        assert torch.equal(model(ids), expected)
    assert list(watched) == ["encoder.rnn"]
    assert watched["encoder.rnn"]["layer0_reverse"]["h"].shape == (2, 6, 7)
    model(ids)
    assert len(watched.calls("encoder.rnn")) == 1  # calls after the block are not recorded


def test_watch_does_not_change_gradients() -> None:
    torch.manual_seed(0)
    model, ids = Tagger("GRU"), torch.randint(11, (6, 2))
    model(ids).square().sum().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    with gatescope.watch(model) as watched:
        model(ids).square().sum().backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert all(map(torch.equal, gradients, expected))
    assert len(gradients) == len(expected)
    assert gatescope.check(watched["encoder.rnn"]).holds


def test_trace_does_not_change_with_later_changes_in_place() -> None:
    torch.manual_seed(0)
    module, inputs = nn.LSTM(3, 4), torch.randn(5, 1, 3)
    with torch.no_grad(), gatescope.watch(module) as watched:
        outputs, _ = module(inputs)
        copy = outputs.clone()
        outputs.zero_()
        inputs.zero_()
        for weight in module.parameters():
            weight.mul_(3)
        module(inputs)
    first, second = (call.trace() for call in watched.calls(""))
    assert np.array_equal(first["layer0"]["h"][0], copy[:, 0].numpy())
    assert gatescope.check(first).holds
    assert gatescope.check(second).holds
    with pytest.raises(WatchError, match="same weights in all 2 calls, got others from call 1 on"):
        _ = watched[""]


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize("how", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_weights_computed_before_each_call_are_recorded(how: Any) -> None:
    torch.manual_seed(0)
    module, inputs = how(nn.LSTM(3, 4, batch_first=True), "weight_hh_l0"), torch.randn(2, 6, 3)
    length = next(value for value in module.parameters() if value.shape == (16, 1))
    with torch.no_grad(), gatescope.watch(module) as watched:
        before, _ = module(inputs)
        length.mul_(3)
        after, _ = module(inputs)
    for call, outputs in zip(watched.calls(""), (before, after), strict=True):
        trace = call.trace()
        assert trace.attributes["difference"] < 1e-6
        assert np.array_equal(trace["layer0"]["h"], outputs.numpy())
        assert gatescope.check(trace).holds


def test_calls_of_a_decoder_are_joined() -> None:
    torch.manual_seed(0)
    module, inputs = nn.GRU(3, 4), torch.randn(6, 2, 3)
    with torch.no_grad():
        whole, _ = module(inputs)
        with gatescope.watch(module) as watched:
            state = torch.zeros(1, 2, 4)
            for x in inputs:
                _, state = module(x.unsqueeze(0), state)
    trace = watched[""]
    assert trace["layer0"]["h"].shape == (2, 6, 4)
    np.testing.assert_allclose(trace["layer0"]["h"], whole.transpose(0, 1).numpy(), atol=1e-6)
    assert gatescope.check(trace).holds


def test_watch_float64_module() -> None:
    torch.manual_seed(0)
    module = nn.LSTM(3, 4, dtype=torch.float64)
    with gatescope.watch(module) as watched:
        module(torch.randn(5, 1, 3, dtype=torch.float64))
    assert watched[""].attributes["residual"] <= 1e-12


def test_active_dropout_between_layers_is_refused() -> None:
    module, inputs = nn.LSTM(3, 4, 2, dropout=0.5), torch.randn(5, 1, 3)
    with gatescope.watch(module) as watched:
        module(inputs)
    with pytest.raises(WatchError, match=r"model\.eval\(\)"):
        _ = watched[""]
    module.eval()
    with gatescope.watch(module) as watched:
        module(inputs)
    assert gatescope.check(watched[""]).holds


def test_call_under_autocast_is_refused() -> None:
    """Uses an RNN: torch computes it with linear layers, which have bfloat16 on every CPU, unlike oneDNN's LSTM."""
    module = nn.RNN(3, 4)
    with gatescope.watch(module) as watched, torch.autocast("cpu", torch.bfloat16):
        module(torch.randn(5, 1, 3))
    with pytest.raises(WatchError, match="autocast"):
        _ = watched[""]


def test_watch_without_recurrent_module_is_refused() -> None:
    with (
        pytest.raises(WatchError, match=r"expected a torch\.nn\.LSTM, GRU or RNN, or such a cell, got none"),
        gatescope.watch(nn.Linear(2, 2)),
    ):
        pass
    with pytest.raises(WatchError, match=r"encoder\.rnn"), gatescope.watch(Tagger("GRU"), ["rnn"]):
        pass
    with gatescope.watch(Tagger("GRU")) as watched:
        pass
    with pytest.raises(WatchError, match="expected at least one call while it was watched, got none"):
        _ = watched["encoder.rnn"]
    with pytest.raises(KeyError, match="decoder"):
        _ = watched["decoder"]


def test_watch_ends_after_an_error_in_the_block() -> None:
    module = nn.GRU(2, 3)
    with pytest.raises(ZeroDivisionError), gatescope.watch(module) as watched:
        _ = 1 / 0
    module(torch.randn(4, 1, 2))
    assert not watched.calls("")


class Reader(nn.Module):
    """A one-hot embedding and an LSTM whose neuron 2 is set by hand: 1 inside round brackets, otherwise -1."""

    def __init__(self, symbols: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding.from_pretrained(torch.eye(len(symbols)))
        self.rnn: Any = nn.LSTM(len(symbols), 4, batch_first=True)
        latch = torch.arange(4) * 4 + 2
        opened, closed = symbols.index("("), symbols.index(")")
        with torch.no_grad():
            self.rnn.weight_ih_l0[latch] = 0
            self.rnn.weight_hh_l0[latch] = 0
            self.rnn.bias_hh_l0[latch] = 0
            self.rnn.bias_ih_l0[latch] = torch.tensor([-20.0, 20.0, 0.0, 20.0])  # i, f, g, o
            self.rnn.weight_ih_l0[latch[0], [opened, closed]] = 40
            self.rnn.weight_ih_l0[latch[1], [opened, closed]] = -40
            self.rnn.weight_ih_l0[latch[2], [opened, closed]] = torch.tensor([20.0, -20.0])

    def forward(self, ids: Tensor) -> Tensor:
        return self.rnn(self.embed(ids))[0]


def bracketed(length: int, seed: int) -> str:
    random = np.random.default_rng(seed)
    symbols, inside = [], False
    while len(symbols) < length:
        symbols += random.choice(list("ab "), random.integers(1, 9)).tolist()
        symbols.append(")" if inside else "(")
        inside = not inside
    return "".join(symbols[:length])


def test_studies_work_on_watched_vectors_with_text(tmp_path: Path) -> None:
    texts = [bracketed(700, seed) for seed in range(4)]
    vocabulary = gatescope.Vocabulary(tuple("()ab "))
    model = Reader("()ab ")
    with gatescope.watch(model) as watched:
        model(torch.tensor(np.stack([vocabulary.encode(text) for text in texts])))
    trace = watched.trace("rnn", text=texts, vocabulary=vocabulary, drives=False)
    assert [trace.text(k) for k in range(4)] == texts

    inside = [[text[: t + 1].count("(") > text[: t + 1].count(")") for t in range(len(text))] for text in texts]
    np.testing.assert_allclose(
        trace["layer0"]["c"][..., 2], np.where(inside, 1, -1) * (np.arange(700) >= _first(texts))
    )
    features = Steps(trace).features([family()])
    table = labels(trace, features, signals=["c"], search=Search(chances=1000))
    # No bracket stands inside another one: the depth is 1 inside and 0 outside, and explains as much.
    rows = {row["feature"]: row for row in table.where(neuron=2)}
    assert {rows["brackets.any"]["place"], rows["brackets.depth"]["place"]} == {0, 1}
    assert rows["brackets.any"]["lag"] == 0
    assert rows["brackets.any"]["score"] == 1
    assert all(row["score"] < 0.95 for row in table if row["neuron"] != 2)

    (saturated,) = saturation(trace).where(layer="layer0", gate="o", neuron=2)
    assert saturated["right"] == 1
    (shown,) = passages(trace, "layer0", "c", 2, count=1, context=3)
    assert inside[shown["sequence"]][shown["step"]]

    gatescope.save_trace(trace, tmp_path / "trace", dtype="float32")
    stored = gatescope.open_trace(tmp_path / "trace")
    assert stored.text(3) == texts[3]
    np.testing.assert_array_equal(stored["layer0"]["c"][:], trace["layer0"]["c"])


def _first(texts: list[str]) -> np.ndarray:
    return np.array([[min(text.index("("), text.find(")") % 999)] for text in texts])


def test_trace_with_text_and_inputs_of_several_lengths() -> None:
    torch.manual_seed(0)
    module, rows = nn.GRU(2, 3, bidirectional=True), [torch.randn(length, 2) for length in (2, 5, 1)]
    with gatescope.watch(module) as watched:
        module(pack_sequence(rows, enforce_sorted=False))
    trace = watched.trace("", text=["ab", "abcba", "c"], inputs=True)
    assert trace.vocabulary.symbols == ("a", "b", "c")
    assert trace.steps["token"].tolist() == [[0, 1, -1, -1, -1], [0, 1, 2, 1, 0], [2, -1, -1, -1, -1]]
    for k, row in enumerate(rows):
        assert np.array_equal(trace.steps["input"][k, : len(row)], row.numpy())
        assert np.isnan(trace.steps["input"][k, len(row) :]).all()
    assert gatescope.check(trace).holds

    words = gatescope.Vocabulary(("one", "two"), unit="token")
    in_words = watched.calls("")[0].trace(text=["two one", "one two three two one", "two"], vocabulary=words)
    assert in_words.steps["token"][1].tolist() == [0, 1, 2, 1, 0]
    assert in_words.text(0) == "two one"

    named = watched.trace("", inputs=True, vocabulary=gatescope.Vocabulary(("low", "high"), unit="number"))
    assert named.vocabulary.symbols == ("low", "high")
    assert np.array_equal(named.vocabulary.encode(named.text(1)), rows[1].numpy())
    assert watched.trace("", inputs=True).vocabulary.symbols == ("0", "1")
    assert (watched.trace("", inputs=True).steps["token"] == -1).all()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"text": ["ab", "abc"]}, "expected one text for each of 3 sequences, got 2"),
        ({"text": "ab"}, "expected one text for each of 3 sequences, got 1"),
        ({"text": ["ab", "abcd", "a"]}, "Text of sequence 1: expected 5 symbols, one for each step, got 4"),
        (
            {"text": ["ab", "ab", "a"], "vocabulary": gatescope.Vocabulary(("a",), unit="number")},
            "vocabulary of numbers",
        ),
        (
            {"vocabulary": gatescope.Vocabulary(("a", "b"))},
            "expected a text with it, got a vocabulary of 2 characters alone",
        ),
        (
            {"inputs": True, "vocabulary": gatescope.Vocabulary(("a",), unit="number")},
            "a vocabulary of 2 numbers, the names of the inputs",
        ),
        ({"vocabulary": gatescope.Vocabulary(("a", "b"), unit="number")}, "inputs=True"),
    ],
)
def test_trace_with_text_that_does_not_fit_is_refused(arguments: dict[str, Any], problem: str) -> None:
    module = nn.GRU(2, 3)
    with gatescope.watch(module) as watched:
        module(pack_sequence([torch.randn(length, 2) for length in (2, 5, 1)], enforce_sorted=False))
    with pytest.raises(TraceError, match=problem):
        watched.trace("", **arguments)
