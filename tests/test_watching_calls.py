"""Ways to call watched modules: the results of the program do not change, and a trace is right or refused."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import gatescope
from gatescope.watching import WatchError

CELLS = (nn.LSTMCell, nn.GRUCell, nn.RNNCell)


class OnlyOutputs(nn.LSTM):
    def forward(self, inputs: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(inputs)[0]


class WithLengths(nn.LSTM):
    def forward(self, inputs: Tensor, lengths: Tensor, scale: float = 1.0) -> Tensor:  # type: ignore[override]
        packed = pack_padded_sequence(inputs * scale, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(super().forward(packed)[0], batch_first=True)[0]


class OwnLoop(nn.GRU):
    """A `forward` that never calls its base; with `factor` 1 it computes a GRU."""

    factor = 1.0

    def forward(self, inputs: Tensor, hx: Any = None) -> Any:  # type: ignore[override]
        weights: Any = self
        h = inputs.new_zeros(inputs.shape[1], self.hidden_size)
        steps = []
        for x in inputs:
            a = torch.nn.functional.linear(x, weights.weight_ih_l0, weights.bias_ih_l0).chunk(3, 1)
            b = torch.nn.functional.linear(h, weights.weight_hh_l0, weights.bias_hh_l0).chunk(3, 1)
            r, z = torch.sigmoid(a[0] + b[0]), torch.sigmoid(a[1] + b[1])
            h = (1 - z) * torch.tanh(a[2] + r * b[2]) + z * h * self.factor
            steps.append(h)
        return torch.stack(steps), h.unsqueeze(0)


class OwnOutputs(OwnLoop):
    def forward(self, inputs: Tensor, hx: Any = None) -> Any:
        return super().forward(inputs)[0]


class Model(nn.Module):
    """A model with a recurrent module, a cell in a loop, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.LSTM(4, 6, batch_first=True)
        self.cell = nn.GRUCell(6, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.rnn(inputs)[0]
        state = inputs.new_zeros(inputs.shape[0], 3)
        for k in range(2):
            state = self.cell(hidden[:, k], state)
        return self.head(state)


def test_subclass_that_returns_outputs_only_is_recorded() -> None:
    module, inputs = OnlyOutputs(4, 6, batch_first=True), torch.randn(3, 5, 4)
    expected = module(inputs)
    with gatescope.watch(module) as watched:
        assert torch.equal(module(inputs), expected)
    trace = watched[""]
    assert np.array_equal(trace["layer0"]["h"], expected.detach().numpy())
    assert gatescope.check(trace).holds


def test_subclass_that_takes_lengths_is_recorded() -> None:
    module, inputs = WithLengths(4, 6, batch_first=True), torch.randn(3, 5, 4)
    lengths = torch.tensor([2, 5, 3])
    with gatescope.watch(module) as watched:
        outputs = module(inputs, lengths=lengths, scale=2.0)
    trace = watched.trace("", inputs=True)
    assert trace.lengths.tolist() == [2, 5, 3]
    for row, length in enumerate(lengths.tolist()):
        assert np.array_equal(trace["layer0"]["h"][row, :length], outputs[row, :length].detach().numpy())
        assert np.array_equal(trace.steps["input"][row, :length], 2 * inputs[row, :length].numpy())


def test_own_forward_is_recorded_only_if_equations_hold() -> None:
    torch.manual_seed(0)
    module, inputs = OwnLoop(4, 6), torch.randn(7, 2, 4)
    with gatescope.watch(module) as watched:
        outputs, _ = module(inputs)
    assert np.array_equal(watched[""]["layer0"]["h"][1], outputs[:, 1].detach().numpy())
    assert gatescope.check(watched[""]).holds
    module.factor = 0.9
    with gatescope.watch(module) as watched:
        module(inputs)
    with pytest.raises(WatchError, match=r"OwnLoop\.forward that differ by"):
        _ = watched[""]
    with pytest.raises(WatchError, match=r"OwnLoop\.forward that differ by"):
        watched.calls("")[0].signals()


def test_own_forward_of_another_form_gives_a_reason() -> None:
    module = OwnOutputs(4, 6)
    with gatescope.watch(module) as watched:
        assert module(torch.randn(7, 2, 4)).shape == (7, 2, 6)
    assert "call" in watched.problems[""]
    with pytest.raises(WatchError):
        _ = watched[""]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_forward_called_directly_is_recorded(kind: Any) -> None:
    module, inputs = kind(4, 6), torch.randn(5, 3, 4)
    with gatescope.watch(module) as watched:
        outputs, _ = module.forward(inputs)
    assert np.array_equal(watched[""]["layer0"]["h"][2], outputs[:, 2].detach().numpy())


def test_forward_of_an_instance_is_recorded_and_restored() -> None:
    module, inputs = nn.LSTM(4, 6), torch.randn(5, 3, 4)
    original = module.forward

    def offloaded(self: Any, *args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    module.forward = types.MethodType(offloaded, module)
    own_forward = module.forward
    with gatescope.watch(module) as watched:
        outputs, _ = module(inputs)
        copy.deepcopy(module)(inputs)
    assert module.forward is own_forward
    assert np.array_equal(watched[""]["layer0"]["h"][0], outputs[:, 0].detach().numpy())


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("reset", ["zeros", "None", "new"])
def test_episodes_of_a_cell_are_separate_sequences(kind: Any, reset: str) -> None:
    """Each reset begins a sequence with its own states; the signals are those of the loop."""
    torch.manual_seed(1)
    cell, is_lstm = kind(4, 6), kind is nn.LSTMCell
    starts = {"zeros": torch.zeros(3, 6), "new": torch.randn(3, 6), "None": None}
    state: Any = None
    hidden = []
    with torch.no_grad(), gatescope.watch(nn.ModuleDict({"policy": cell})) as watched:
        for t in range(10):
            if t in (0, 4):
                start = starts[reset]
                state = (start, start) if is_lstm and start is not None else start
            state = cell(torch.randn(3, 4), state)
            hidden.append((state[0] if is_lstm else state).clone().numpy())
    trace = watched["policy"]
    assert trace.lengths.tolist() == [4, 4, 4, 6, 6, 6]
    for row in range(6):
        first, length = (0, 4) if row < 3 else (4, 6)
        expected = np.stack(hidden)[first : first + length, row % 3]
        assert np.array_equal(trace["layer0"]["h"][row, :length], expected)
    initial = np.tile(starts["new"].numpy(), (2, 1)) if reset == "new" else np.zeros((6, 6))
    assert np.array_equal(trace.initial["layer0"]["h"], initial)
    assert gatescope.check(trace).holds


@pytest.mark.parametrize("kind", CELLS)
def test_masked_row_begins_a_sequence_alone(kind: Any) -> None:
    torch.manual_seed(2)
    cell, is_lstm = kind(4, 6), kind is nn.LSTMCell
    state: Any = tuple(torch.zeros(3, 6) for _ in range(2)) if is_lstm else torch.zeros(3, 6)
    with torch.no_grad(), gatescope.watch(cell) as watched:
        for t in range(10):
            going = 1.0 - torch.tensor([[t == 4], [t in (2, 7)], [False]]).float()
            state = tuple(value * going for value in state) if is_lstm else state * going
            state = cell(torch.randn(3, 4), state)
    trace = watched[""]
    assert trace.lengths.tolist() == [4, 2, 10, 5, 6, 3]
    assert gatescope.check(trace).holds
    assert trace.attributes["difference"] < 1e-6


def test_unbatched_calls_of_a_cell_are_one_sequence() -> None:
    cell, state = nn.LSTMCell(2, 3), None
    with gatescope.watch(cell) as watched:
        for _ in range(4):
            state = cell(torch.randn(2), state)
    assert watched[""]["layer0"]["c"].shape == (1, 4, 3)


def test_rows_of_a_shrinking_batch_keep_their_sequences() -> None:
    """A decoder that drops finished rows: the others are recognised by their states, not by their indices."""
    torch.manual_seed(0)
    module, state, rows_of_steps = nn.GRU(3, 4), torch.zeros(1, 3, 4), [[0, 1, 2], [1, 2], [2, 1], [2]]
    inputs = torch.randn(4, 3, 3)
    previous = [0, 1, 2]
    with torch.no_grad(), gatescope.watch(module) as watched:
        for t, rows in enumerate(rows_of_steps):
            state = state[:, [previous.index(row) for row in rows]]
            previous = rows
            _, state = module(inputs[t, rows].unsqueeze(0), state)
        expected, _ = module(inputs[:, 2:3])
    trace = watched.trace("", calls=slice(0, 4))
    assert trace.lengths.tolist() == [1, 3, 4]
    np.testing.assert_allclose(trace["layer0"]["h"][2], expected[:, 0].numpy(), atol=1e-6)


def test_rows_with_equal_states_keep_their_rows() -> None:
    """Both rows read the same first piece, so only their numbers tell which sequence the second piece continues."""
    torch.manual_seed(0)
    module, first, second = nn.GRU(3, 4), torch.randn(5, 1, 3).expand(5, 2, 3), torch.randn(6, 2, 3)
    with torch.no_grad(), gatescope.watch(module) as watched:
        _, state = module(first)
        module(second, state)
        expected, _ = module(torch.cat([first, second]))
    trace = watched.trace("", calls=slice(0, 2))
    assert trace.lengths.tolist() == [11, 11]
    np.testing.assert_allclose(trace["layer0"]["h"], expected.transpose(0, 1).numpy(), atol=1e-6)


def test_truncated_backpropagation_is_one_sequence_per_row() -> None:
    torch.manual_seed(0)
    module, state, inputs = nn.LSTM(3, 4, 2), None, torch.randn(20, 2, 3)
    with gatescope.watch(module) as watched:
        for piece in inputs.split(6):
            _, state = module(piece, state)
            state = tuple(value.detach() for value in state)
    trace = watched[""]
    assert trace.lengths.tolist() == [20, 20]
    assert gatescope.check(trace).holds


def test_independent_calls_are_separate_sequences() -> None:
    module = nn.GRU(3, 4, bidirectional=True, batch_first=True)
    with torch.no_grad(), gatescope.watch(module) as watched:
        first, state = module(torch.randn(2, 5, 3))
        second, _ = module(torch.randn(1, 7, 3), state[:, :1])
    trace = watched[""]
    assert trace.lengths.tolist() == [5, 5, 7]
    assert np.array_equal(trace["layer0"]["h"][2], second[0, :, :4].numpy())
    assert np.array_equal(trace["layer0_reverse"]["h"][1, :5], first[1, :, 4:].numpy())
    assert gatescope.check(trace).holds


@pytest.mark.parametrize("how", ["data", "optimizer", "copy"])
def test_weights_that_change_between_calls_are_refused(how: str) -> None:
    module: Any = nn.LSTM(3, 4)
    inputs = torch.randn(5, 1, 3)
    with gatescope.watch(module) as watched:
        module(inputs)[0].sum().backward()
        if how == "data":
            module.weight_hh_l0.data.mul_(2)
        elif how == "copy":
            module.weight_hh_l0.data.copy_(torch.randn(16, 4))
        else:
            torch.optim.SGD(module.parameters(), 0.1).step()
        after, _ = module(inputs)
    with pytest.raises(WatchError, match=r"got others from call 1 on.*calls=slice\(0, 1\)"):
        _ = watched[""]
    for calls in (slice(0, 1), slice(1, 2)):
        assert gatescope.check(watched.trace("", calls=calls)).holds
    assert np.array_equal(watched.trace("", calls=slice(1, 2))["layer0"]["h"][0], after[:, 0].detach().numpy())


def test_tied_modules_have_both_names() -> None:
    shared = nn.GRU(3, 3)
    model = nn.ModuleDict({"down": shared, "up": shared})
    with gatescope.watch(model) as watched:
        model["up"](model["down"](torch.randn(4, 1, 3))[0])
    assert list(watched) == ["down"]
    assert watched["up"].lengths.tolist() == watched["down"].lengths.tolist() == [4, 4]


def test_recomputation_in_backward_pass_is_not_recorded() -> None:
    from torch.utils.checkpoint import checkpoint

    module = nn.GRU(3, 4)
    with gatescope.watch(module) as watched:
        outputs, _ = checkpoint(module, torch.randn(5, 1, 3, requires_grad=True), use_reentrant=False)
        outputs.sum().backward()
    assert len(watched.calls("")) == 1


def saved_and_loaded(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


WAYS: dict[str, Callable[[Any, Tensor], Any]] = {
    "plainly": lambda model, x: model(x),
    "script": lambda model, x: torch.jit.script(model)(x),
    "trace": lambda model, x: torch.jit.trace(model, (x,))(x),  # pyright: ignore[reportCallIssue]  a module
    "fx": lambda model, x: torch.fx.symbolic_trace(nn.Sequential(model, nn.ReLU()))(x) * 0 + model(x),
    "export": lambda model, x: torch.export.export(model, (x,)).module()(x),
    "compile": lambda model, x: torch.compile(model, backend="eager")(x),
    "deepcopy": lambda model, x: copy.deepcopy(model)(x),
    "pickle": lambda model, x: pickle.loads(pickle.dumps(model))(x),  # noqa: S301 - written on the same line
    "save": lambda model, x: saved_and_loaded(model)(x),
    "functional_call": lambda model, x: torch.func.functional_call(model, dict(model.named_parameters()), (x,)),
    "data_parallel": lambda model, x: nn.DataParallel(model)(x),
    "inference_mode": lambda model, x: torch.inference_mode()(model)(x),
    "no_grad": lambda model, x: torch.no_grad()(model)(x),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
def test_results_are_equal_and_traces_right_or_refused(way: str) -> None:
    model, inputs = Model().eval(), torch.randn(3, 5, 4)
    expected = model(inputs)
    with gatescope.watch(model) as watched:
        actual = WAYS[way](model, inputs)
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-5)
    for name in watched:
        with contextlib.suppress(WatchError):
            trace = watched[name]
            assert gatescope.check(trace).holds
            assert trace.attributes["difference"] < 1e-5
    assert "forward" not in vars(model.rnn)
    assert nn.LSTM.forward.__module__ == "torch.nn.modules.rnn"
    assert not hasattr(nn.LSTM.forward, "__wrapped__")
    if way in ("plainly", "functional_call", "data_parallel", "inference_mode", "no_grad"):
        assert watched["cell"].lengths.tolist() == [2, 2, 2]


@pytest.mark.filterwarnings("ignore")
def test_quantized_and_scripted_models_are_named() -> None:
    model, inputs = Model().eval(), torch.randn(3, 5, 4)
    with gatescope.watch(model):
        quantized = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM, nn.GRUCell}, dtype=torch.qint8)
    with pytest.raises(WatchError, match="'rnn' is quantized"), gatescope.watch(quantized):
        pass
    with pytest.raises(WatchError, match=r"'rnn' is compiled by torch\.jit"), gatescope.watch(torch.jit.script(model)):
        pass
    torch.testing.assert_close(quantized(inputs), model(inputs), atol=0.2, rtol=0.2)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("transform", ["vmap", "grad", "meta", "fake"])
def test_tensors_without_values_give_a_reason(transform: str) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    cell = nn.GRUCell(3, 4)
    with gatescope.watch(cell) as watched:
        if transform == "vmap":
            torch.func.vmap(cell)(torch.randn(5, 2, 3))
        elif transform == "grad":
            torch.func.grad(lambda x: cell(x).sum())(torch.randn(2, 3))
        elif transform == "meta":
            cell.to("meta")(torch.randn(2, 3, device="meta"))
        else:
            with FakeTensorMode(allow_non_fake_inputs=True) as mode:
                cell(mode.from_tensor(torch.randn(2, 3)))
    assert {"vmap": "torch.func", "grad": "torch.func", "meta": "meta", "fake": "FakeTensor"}[transform] in (
        watched.problems[""]
    )
    with pytest.raises(WatchError):
        _ = watched[""]


def test_failing_recorder_does_not_stop_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("gatescope.watching.call_copies._copied", broken)
    module, inputs = nn.GRU(3, 4), torch.randn(5, 1, 3)
    with warnings.catch_warnings(), gatescope.watch(module) as watched:
        warnings.simplefilter("error")
        module(inputs)
    with pytest.raises(WatchError, match="out of memory"):
        _ = watched[""]


def test_nested_watches_record_the_same_calls() -> None:
    module, inputs = nn.GRU(3, 4), torch.randn(5, 1, 3)
    with gatescope.watch(module) as outer:
        with gatescope.watch(nn.Sequential(module)) as inner:
            module(inputs)
        module(inputs)
    assert (len(outer.calls("")), len(inner.calls("0"))) == (2, 1)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "PeepholeLSTM", "MinGRU", "SLSTM"])
def test_modules_of_gatescope_are_recorded(name: str) -> None:
    module, inputs = getattr(gatescope.nn, name)(3, 4, num_layers=2, batch_first=True), torch.randn(2, 5, 3)
    with gatescope.watch(module) as watched:
        outputs, _ = module(inputs)
    assert np.array_equal(watched[""]["layer1"]["h"], outputs.detach().numpy())
    assert gatescope.check(watched[""]).holds


def test_call_with_interventions_is_refused() -> None:
    module, inputs = gatescope.nn.LSTM(3, 4), torch.randn(5, 2, 3)
    with gatescope.watch(module) as watched:
        module(inputs, interventions=[gatescope.clamp(0, "f", 1, 0.5)])
    with pytest.raises(WatchError, match="interventions"):
        _ = watched[""]
