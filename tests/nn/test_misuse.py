"""Mistakes: each raises an error of the same type as in torch.nn, with the same facts in its message."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from gatescope import GatescopeError
from gatescope import nn as ours

CONSTRUCTIONS: dict[str, Callable[[Any], Any]] = {
    "no hidden size": lambda nn: nn.LSTM(3),
    "hidden size 0": lambda nn: nn.GRU(3, 0),
    "hidden size below 0": lambda nn: nn.LSTM(3, -1),
    "hidden size not an integer": lambda nn: nn.RNN(3, 4.0),
    "hidden size a text": lambda nn: nn.RNN(3, "4"),
    "input size 0": lambda nn: nn.LSTM(0, 4),
    "input size not an integer": lambda nn: nn.GRU(3.5, 4),
    "no layers": lambda nn: nn.LSTM(3, 4, 0),
    "layers below 0": lambda nn: nn.GRU(3, 4, num_layers=-2),
    "layers not an integer": lambda nn: nn.GRU(3, 4, num_layers=1.5),
    "bias not a bool": lambda nn: nn.LSTM(3, 4, 1, 1),
    "batch_first not a bool": lambda nn: nn.GRU(3, 4, batch_first=1),
    "dropout above 1": lambda nn: nn.LSTM(3, 4, 2, dropout=1.1),
    "dropout below 0": lambda nn: nn.RNN(3, 4, 2, dropout=-0.1),
    "dropout a bool": lambda nn: nn.GRU(3, 4, 2, dropout=True),
    "dropout a text": lambda nn: nn.GRU(3, 4, 2, dropout="half"),
    "dropout None": lambda nn: nn.GRU(3, 4, 2, dropout=None),
    "projection as large": lambda nn: nn.LSTM(3, 4, proj_size=4),
    "projection larger": lambda nn: nn.LSTM(3, 4, proj_size=7),
    "projection below 0": lambda nn: nn.LSTM(3, 4, proj_size=-1),
    "projection of a GRU": lambda nn: nn.GRU(3, 4, proj_size=2),
    "projection of an RNN": lambda nn: nn.RNN(3, 4, proj_size=2),
    "unknown nonlinearity": lambda nn: nn.RNN(3, 4, nonlinearity="garbage"),
    "unknown nonlinearity by place": lambda nn: nn.RNN(3, 4, 1, "sigmoid"),
    "unknown argument": lambda nn: nn.LSTM(3, 4, layers=2),
    "nonlinearity of an LSTM": lambda nn: nn.LSTM(3, 4, nonlinearity="relu"),
    "too many arguments": lambda nn: nn.GRU(3, 4, 1, True, False, 0.0, False, 0, None, None, None),
    "no such dtype": lambda nn: nn.GRU(3, 4, dtype=torch.int64),
    "no such device": lambda nn: nn.GRU(3, 4, device="nowhere"),
}

x = torch.zeros(5, 2, 3)
packed = pack_sequence([torch.zeros(3, 3), torch.zeros(1, 3)])


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


CALLS: dict[str, Callable[[Any], Any]] = {
    "an input of 1 axis": lambda m: m(zeros(3)),
    "an input of 4 axes": lambda m: m(zeros(1, 2, 3, 3)),
    "vectors of another size": lambda m: m(zeros(5, 2, 4)),
    "vectors of another size, one sequence": lambda m: m(zeros(5, 4)),
    "packed vectors of 2 axes": lambda m: m(PackedSequence(zeros(4, 1, 3), packed.batch_sizes)),
    "another precision": lambda m: m(x.double()),
    "integers": lambda m: m(x.long()),
    "no steps": lambda m: m(zeros(0, 2, 3)),
    "no input": lambda m: m(),
    "a list": lambda m: m([[0.0, 0.0, 0.0]]),
    "None": lambda m: m(None),
    "three arguments": lambda m: m(x, None, None),
    "an unknown keyword": lambda m: m(x, h0=None),
}

STATES: dict[str, Callable[[Any, Any], Any]] = {
    "too many sequences": lambda m, hx: m(x, hx(1, 3, 4)),
    "too few sequences": lambda m, hx: m(x, hx(1, 1, 4)),
    "too many layers": lambda m, hx: m(x, hx(2, 2, 4)),
    "another size": lambda m, hx: m(x, hx(1, 2, 5)),
    "of one sequence for a batch": lambda m, hx: m(x, hx(1, 4)),
    "of a batch for one sequence": lambda m, hx: m(x[:, 0], hx(1, 1, 4)),
    "another size for one sequence": lambda m, hx: m(x[:, 0], hx(1, 5)),
    "too few sequences, packed": lambda m, hx: m(packed, hx(1, 1, 4)),
    "another size, packed": lambda m, hx: m(packed, hx(1, 2, 5)),
}


def raised(act: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as caught, warnings.catch_warnings(action="ignore"):  # noqa: PT011 - compared below
        act()
    return caught.value


def assert_same_error(actual: Exception, expected: Exception) -> None:
    """Assert the same type, and all numbers of torch's message unless it is about a product inside torch.

    Errors of gatescope are of torch's type as well.
    """
    same_type = isinstance(actual, type(expected)) if isinstance(actual, GatescopeError) else False
    assert same_type or type(actual) is type(expected), f"{actual!r} instead of {expected!r}"
    if isinstance(expected, RuntimeError) and "broadcast" not in str(expected):
        numbers = re.findall(r"\b\d+\b", str(expected))
        assert set(numbers) <= set(re.findall(r"\d+", str(actual))), f"{actual} instead of {expected}"


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_construction_mistake_raises_as_in_torch(name: str) -> None:
    expected = raised(lambda: CONSTRUCTIONS[name](torch.nn))
    actual = raised(lambda: CONSTRUCTIONS[name](ours))
    assert type(actual) is type(expected)
    assert str(actual) == str(expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("name", CALLS)
def test_call_mistake_raises_as_in_torch(kind: str, name: str) -> None:
    expected = raised(lambda: CALLS[name](getattr(torch.nn, kind)(3, 4)))
    assert_same_error(raised(lambda: CALLS[name](getattr(ours, kind)(3, 4))), expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("name", STATES)
def test_state_mistake_raises_as_in_torch(kind: str, name: str) -> None:
    def hx(*shape: int) -> Any:
        return (zeros(*shape), zeros(*shape)) if kind == "LSTM" else zeros(*shape)

    expected = raised(lambda: STATES[name](getattr(torch.nn, kind)(3, 4), hx))
    assert_same_error(raised(lambda: STATES[name](getattr(ours, kind)(3, 4), hx)), expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_packed_vectors_of_wrong_size_are_refused(kind: str) -> None:
    """torch.nn.LSTM does not notice this mistake and reads past the end of the vectors."""
    with pytest.raises(RuntimeError, match=r"expected input.size\(-1\) == 3, its input_size, got 2"):
        getattr(ours, kind)(3, 4)(pack_sequence([zeros(3, 2)]))


LSTM_STATES: dict[str, Any] = {
    "a tensor": zeros(1, 2, 4),
    "one of two": (zeros(1, 2, 4),),
    "h of another size": (zeros(1, 2, 3), zeros(1, 2, 4)),
    "c of another size": (zeros(1, 2, 4), zeros(1, 2, 3)),
    "c of another precision": (zeros(1, 2, 4), zeros(1, 2, 4).double()),
    "h of no batch": (zeros(1, 4), zeros(1, 2, 4)),
    "three": (zeros(1, 2, 4),) * 3,
    "None in it": (zeros(1, 2, 4), None),
}


@pytest.mark.parametrize("name", LSTM_STATES)
def test_lstm_state_mistake_raises_as_in_torch(name: str) -> None:
    expected = raised(lambda: torch.nn.LSTM(3, 4)(x, LSTM_STATES[name]))
    assert_same_error(raised(lambda: ours.LSTM(3, 4)(x, LSTM_STATES[name])), expected)


def test_projected_state_of_wrong_size_raises_as_in_torch() -> None:
    wrong = zeros(1, 2, 4), zeros(1, 2, 4)
    expected = raised(lambda: torch.nn.LSTM(3, 4, proj_size=2)(x, wrong))
    assert_same_error(raised(lambda: ours.LSTM(3, 4, proj_size=2)(x, wrong)), expected)


@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_two_states_for_one_raise_as_in_torch(kind: str) -> None:
    pair = zeros(1, 2, 4), zeros(1, 2, 4)
    expected = raised(lambda: getattr(torch.nn, kind)(3, 4)(x, pair))
    assert_same_error(raised(lambda: getattr(ours, kind)(3, 4)(x, pair)), expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_weights_of_other_module_raise_as_in_torch(kind: str) -> None:
    for other in (torch.nn.LSTM(3, 5), torch.nn.GRU(3, 4, 2), torch.nn.RNN(3, 4, bias=False)):
        if type(other).__name__ == kind:
            continue
        expected = raised(lambda: getattr(torch.nn, kind)(3, 4).load_state_dict(other.state_dict()))  # noqa: B023
        actual = raised(lambda: getattr(ours, kind)(3, 4).load_state_dict(other.state_dict()))  # noqa: B023
        assert type(actual) is type(expected)
        assert str(actual) == str(expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "PeepholeLSTM"])
def test_dropout_without_second_layer_warns(kind: str) -> None:
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last recurrent layer"):
        getattr(ours, kind)(3, 4, dropout=0.5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_inputs_on_other_device_are_refused(kind: str) -> None:
    """The "meta" device stands for a second device."""
    module, elsewhere = getattr(ours, kind)(3, 4), zeros(1, 2, 4).to("meta")
    with pytest.raises(
        RuntimeError, match=r"Input of \w+: expected a tensor on cpu, the device of the weights, got one on meta"
    ):
        module(x.to("meta"))
    with pytest.raises(RuntimeError, match=r"Initial h of \w+: expected a tensor on cpu, .*got one on meta"):
        module(x, (elsewhere, elsewhere) if kind == "LSTM" else elsewhere)


def test_mistakes_without_counterpart_in_torch() -> None:
    with pytest.raises(ValueError, match="Engine: expected one of auto, native, plain, got 'fast'"):
        ours.LSTM(3, 4, engine="fast")
    with pytest.raises(AttributeError, match="no attribute 'QuasiRNN'"):
        _ = ours.QuasiRNN
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # torch.jit itself is deprecated
        _assert_jit_is_refused()


def _assert_jit_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"gatescope.nn.SLSTM: expected to run as it is, got torch.jit.script"):
        torch.jit.script(torch.nn.Sequential(ours.from_cell(ours.SLSTM.cell)(3, 4)))
    with pytest.raises(RuntimeError, match=r"gatescope.nn.GRU: .*got torch.jit.trace.*state_dict"):
        torch.jit.trace(ours.GRU(3, 4), x)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "no input"])
def test_call_mistake_of_other_cells_raises_as_for_gru(name: str) -> None:
    expected = raised(lambda: CALLS[name](torch.nn.GRU(3, 4)))
    assert_same_error(raised(lambda: CALLS[name](ours.MinGRU(3, 4))), expected)


@pytest.mark.parametrize(
    "name", [name for name in CONSTRUCTIONS if "GRU(" in name or "size" in name or "layers" in name]
)
def test_construction_mistake_of_other_cells_raises_as_for_gru(name: str) -> None:
    class OnlySLSTM:
        RNN = GRU = LSTM = staticmethod(ours.SLSTM)

    assert type(raised(lambda: CONSTRUCTIONS[name](OnlySLSTM))) is type(raised(lambda: CONSTRUCTIONS[name](torch.nn)))
