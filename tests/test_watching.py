"""A watched module gives what it always gave, and a trace of it that an independent loop agrees with."""

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
    """A model as people write them: the recurrent part is one of several."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 5)
        self.encoder = nn.ModuleDict({"rnn": getattr(nn, kind)(5, 7, **options)})
        self.head = nn.Linear(7 * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, ids: Tensor) -> Tensor:
        hidden, _ = self.encoder["rnn"](self.embed(ids))
        return self.head(hidden)


def lstm_by_hand(module: nn.LSTM, inputs: Tensor, h: Tensor, c: Tensor) -> dict[str, np.ndarray]:
    """The first layer of an LSTM, forwards, in float64, one step after the other: (T, B, N)."""
    w, u, b, d = (
        getattr(module, f"{name}_l0").detach().double().numpy()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    before, cell = h.double().numpy(), c.double().numpy()
    found: dict[str, list[np.ndarray]] = {name: [] for name in "ifgoch"}
    for x in inputs.detach().double().numpy():
        i, f, g, o = np.split(x @ w.T + before @ u.T + b + d, 4, axis=1)
        i, f, o, g = *(1 / (1 + np.exp(-v)) for v in (i, f, o)), np.tanh(g)
        cell = f * cell + i * g
        before = o * np.tanh(cell)
        for name, value in zip("ifgoch", (i, f, g, o, cell, before), strict=True):
            found[name].append(value.copy())
    return {name: np.array(values) for name, values in found.items()}


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
def test_outputs_are_the_same_bits_and_the_trace_holds(
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
    places = layers * (2 if bidirectional else 1)
    rows = () if form == "single" else (3,)
    h = torch.randn(places, *rows, options.get("proj_size", 4))
    hx = ((h, torch.randn(places, *rows, 4)) if kind == "LSTM" else h) if started else None
    expected, after = module(inputs, hx)
    with gatescope.watch(module) as watched:
        outputs, final = module(inputs, hx)
    for one, other in zip(_flat(outputs, final), _flat(expected, after), strict=True):
        assert torch.equal(one, other)

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
    if not options:  # what the module itself gave is in the trace, to the last bit
        given_back = outputs
        if form == "packed":
            given_back = pad_packed_sequence(outputs, batch_first=True)[0]
        elif form == "single":
            given_back = outputs.unsqueeze(0)
        elif not batch_first:
            given_back = outputs.transpose(0, 1)
        for k, end in enumerate(ends):
            recorded = trace[f"layer{layers - 1}{end}"]["h"]
            own = given_back[..., 4 * k : 4 * (k + 1)].detach().numpy()
            for row, length in enumerate(trace.lengths):
                assert np.array_equal(recorded[row, :length], own[row, :length])
                assert np.isnan(recorded[row, length:]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_does_not_grow_from_step_to_step(kind: str) -> None:
    """With weights so large that the last digit of a state decides about later ones, the trace holds all the same."""
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
    apart = abs(trace["layer0"]["h"][0] - double[:, 0].detach().numpy()).max(1)
    assert apart[:3].max() < 1e-4
    assert apart[500:].max() > 0.1, "a run in another precision is somewhere else by then"
    assert trace.attributes["residual"] <= 1e-5
    assert trace.attributes["difference"] <= 1e-4
    signals = watched.calls("")[0].signals()["layer0"]
    for name, values in signals.items():
        assert np.array_equal(values[:, 0].numpy(), trace["layer0"][name][0])


def _flat(outputs: Any, final: Any) -> list[Tensor]:
    data = outputs.data if hasattr(outputs, "batch_sizes") else outputs
    return [data, *(final if isinstance(final, tuple) else (final,))]


@pytest.mark.parametrize("started", [False, True])
def test_gates_are_those_of_a_loop_written_by_hand(started: bool) -> None:
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
def test_modules_are_found_by_name_inside_a_model(kind: str) -> None:
    torch.manual_seed(0)
    model = Tagger(kind, batch_first=True, bidirectional=True)
    ids = torch.randint(11, (2, 6))
    expected = model(ids)
    with gatescope.watch(model) as watched:
        assert torch.equal(model(ids), expected)
    assert list(watched) == ["encoder.rnn"]
    assert watched["encoder.rnn"]["layer0_reverse"]["h"].shape == (2, 6, 7)
    model(ids)
    assert len(watched.calls("encoder.rnn")) == 1  # nothing is kept outside of the block


def test_gradients_go_through_as_without_it() -> None:
    torch.manual_seed(0)
    model, ids = Tagger("GRU"), torch.randint(11, (6, 2))
    model(ids).square().sum().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    with gatescope.watch(model) as watched:
        model(ids).square().sum().backward()
    found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert gatescope.check(watched["encoder.rnn"]).holds


def test_what_happens_to_outputs_and_weights_afterwards_does_not_change_the_trace() -> None:
    torch.manual_seed(0)
    module, inputs = nn.LSTM(3, 4), torch.randn(5, 1, 3)
    with torch.no_grad(), gatescope.watch(module) as watched:
        outputs, _ = module(inputs)
        kept = outputs.clone()
        outputs.zero_()
        inputs.zero_()
        for weight in module.parameters():
            weight.mul_(3)
        module(inputs)
    first, second = (call.trace() for call in watched.calls(""))
    assert np.array_equal(first["layer0"]["h"][0], kept[:, 0].numpy())
    assert gatescope.check(first).holds
    assert gatescope.check(second).holds
    with pytest.raises(WatchError, match="2 times"):
        _ = watched[""]


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize("how", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_weights_that_are_computed_before_each_call(how: Any) -> None:
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


def test_steps_of_a_decoder_are_joined() -> None:
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


def test_float64() -> None:
    torch.manual_seed(0)
    module = nn.LSTM(3, 4, dtype=torch.float64)
    with gatescope.watch(module) as watched:
        module(torch.randn(5, 1, 3, dtype=torch.float64))
    assert watched[""].attributes["residual"] <= 1e-12


def test_dropout_between_layers_cannot_be_recorded_while_it_acts() -> None:
    module, inputs = nn.LSTM(3, 4, 2, dropout=0.5), torch.randn(5, 1, 3)
    with gatescope.watch(module) as watched:
        module(inputs)
    with pytest.raises(WatchError, match=r"model\.eval\(\)"):
        _ = watched[""]
    module.eval()
    with gatescope.watch(module) as watched:
        module(inputs)
    assert gatescope.check(watched[""]).holds


def test_autocast_cannot_be_recorded() -> None:
    """A plain RNN is linear layers to torch: these have bfloat16 on every CPU, which oneDNN's LSTM does not."""
    module = nn.RNN(3, 4)
    with gatescope.watch(module) as watched, torch.autocast("cpu", torch.bfloat16):
        module(torch.randn(5, 1, 3))
    with pytest.raises(WatchError, match="autocast"):
        _ = watched[""]


def test_models_and_names_without_a_recurrent_module_are_refused() -> None:
    with pytest.raises(WatchError, match=r"no torch\.nn\.LSTM"), gatescope.watch(nn.Linear(2, 2)):
        pass
    with pytest.raises(WatchError, match=r"encoder\.rnn"), gatescope.watch(Tagger("GRU"), ["rnn"]):
        pass
    with gatescope.watch(Tagger("GRU")) as watched:
        pass
    with pytest.raises(WatchError, match="not called"):
        _ = watched["encoder.rnn"]
    with pytest.raises(KeyError, match="decoder"):
        _ = watched["decoder"]


def test_the_hooks_are_gone_after_an_error_in_the_block() -> None:
    module = nn.GRU(2, 3)
    with pytest.raises(ZeroDivisionError), gatescope.watch(module) as watched:
        _ = 1 / 0
    module(torch.randn(4, 1, 2))
    assert not watched.calls("")


class Reader(nn.Module):
    """An embedding that is one-hot, and an LSTM whose neuron 2 is by hand a latch: inside round brackets 1, else -1."""

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
    found, inside = [], False
    while len(found) < length:
        found += random.choice(list("ab "), random.integers(1, 9)).tolist()
        found.append(")" if inside else "(")
        inside = not inside
    return "".join(found[:length])


def test_studies_work_on_vectors_whose_text_is_told(tmp_path: Path) -> None:
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
    found = labels(trace, features, signals=["c"], search=Search(chances=1000))
    (row,) = found.where(neuron=2, place=0)
    assert (row["feature"], row["lag"]) == ("brackets.any", 0)
    assert row["score"] == 1
    assert all(row["score"] < 0.95 for row in found if row["neuron"] != 2)

    (saturated,) = saturation(trace).where(layer="layer0", gate="o", neuron=2)
    assert saturated["right"] == 1
    (shown,) = passages(trace, "layer0", "c", 2, count=1, context=3)
    assert inside[shown["sequence"]][shown["step"]]

    gatescope.save_trace(trace, tmp_path / "trace", dtype="float32")
    again = gatescope.open_trace(tmp_path / "trace")
    assert again.text(3) == texts[3]
    np.testing.assert_array_equal(again["layer0"]["c"][:], trace["layer0"]["c"])


def _first(texts: list[str]) -> np.ndarray:
    return np.array([[min(text.index("("), text.find(")") % 999)] for text in texts])


def test_a_text_of_sequences_of_several_lengths_and_the_vectors_themselves() -> None:
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
    again = watched.calls("")[0].trace(text=["two one", "one two three two one", "two"], vocabulary=words)
    assert again.steps["token"][1].tolist() == [0, 1, 2, 1, 0]
    assert again.text(0) == "two one"

    named = watched.trace("", inputs=True, vocabulary=gatescope.Vocabulary(("low", "high"), unit="number"))
    assert named.vocabulary.symbols == ("low", "high")
    assert np.array_equal(named.vocabulary.encode(named.text(1)), rows[1].numpy())
    assert watched.trace("", inputs=True).vocabulary.symbols == ("0", "1")
    assert (watched.trace("", inputs=True).steps["token"] == -1).all()


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"text": ["ab", "abc"]}, "2 texts were given for 3 sequences"),
        ({"text": "ab"}, "1 texts were given for 3 sequences"),
        ({"text": ["ab", "abcd", "a"]}, "the text of sequence 1 has 4 characters and the sequence 5 steps"),
        (
            {"text": ["ab", "ab", "a"], "vocabulary": gatescope.Vocabulary(("a",), unit="number")},
            "vocabulary of numbers",
        ),
        ({"vocabulary": gatescope.Vocabulary(("a", "b"))}, "2 characters was given without a text"),
        ({"inputs": True, "vocabulary": gatescope.Vocabulary(("a",), unit="number")}, "one of 2 numbers"),
        ({"vocabulary": gatescope.Vocabulary(("a", "b"), unit="number")}, "inputs=True"),
    ],
)
def test_a_text_that_does_not_fit_is_refused(told: dict[str, Any], problem: str) -> None:
    module = nn.GRU(2, 3)
    with gatescope.watch(module) as watched:
        module(pack_sequence([torch.randn(length, 2) for length in (2, 5, 1)], enforce_sorted=False))
    with pytest.raises(TraceError, match=problem):
        watched.trace("", **told)
