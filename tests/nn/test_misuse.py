"""The same mistake gives the same kind of error as in torch.nn, and a message that tells the same."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from gatescope import nn as ours

CONSTRUCTIONS: dict[str, Callable[[Any], Any]] = {
    "no hidden size": lambda nn: nn.LSTM(3),
    "hidden size 0": lambda nn: nn.GRU(3, 0),
    "hidden size below 0": lambda nn: nn.LSTM(3, -1),
    "hidden size no integer": lambda nn: nn.RNN(3, 4.0),
    "hidden size a text": lambda nn: nn.RNN(3, "4"),
    "input size 0": lambda nn: nn.LSTM(0, 4),
    "input size no integer": lambda nn: nn.GRU(3.5, 4),
    "no layers": lambda nn: nn.LSTM(3, 4, 0),
    "layers below 0": lambda nn: nn.GRU(3, 4, num_layers=-2),
    "layers no integer": lambda nn: nn.GRU(3, 4, num_layers=1.5),
    "bias no bool": lambda nn: nn.LSTM(3, 4, 1, 1),
    "batch_first no bool": lambda nn: nn.GRU(3, 4, batch_first=1),
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
    with pytest.raises(Exception) as found, warnings.catch_warnings(action="ignore"):  # noqa: PT011  any, to compare
        act()
    return found.value


def assert_tells_the_same(found: Exception, expected: Exception) -> None:
    """The same type, and every number of torch's message is in ours, unless it tells of a product inside torch."""
    assert type(found) is type(expected), f"{found!r} instead of {expected!r}"
    if isinstance(expected, RuntimeError) and "broadcast" not in str(expected):
        numbers = re.findall(r"\b\d+\b", str(expected))
        assert set(numbers) <= set(re.findall(r"\d+", str(found))), f"{found} instead of {expected}"


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_of_a_construction(name: str) -> None:
    expected = raised(lambda: CONSTRUCTIONS[name](torch.nn))
    found = raised(lambda: CONSTRUCTIONS[name](ours))
    assert type(found) is type(expected)
    assert str(found) == str(expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("name", CALLS)
def test_of_a_call(kind: str, name: str) -> None:
    expected = raised(lambda: CALLS[name](getattr(torch.nn, kind)(3, 4)))
    assert_tells_the_same(raised(lambda: CALLS[name](getattr(ours, kind)(3, 4))), expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("name", STATES)
def test_of_an_initial_state(kind: str, name: str) -> None:
    def hx(*shape: int) -> Any:
        return (zeros(*shape), zeros(*shape)) if kind == "LSTM" else zeros(*shape)

    expected = raised(lambda: STATES[name](getattr(torch.nn, kind)(3, 4), hx))
    assert_tells_the_same(raised(lambda: STATES[name](getattr(ours, kind)(3, 4), hx)), expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_packed_vectors_of_another_size(kind: str) -> None:
    """torch.nn.LSTM does not notice it, and reads what is not there."""
    with pytest.raises(RuntimeError, match="Expected 3, got 2"):
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
def test_of_the_two_states_of_an_lstm(name: str) -> None:
    expected = raised(lambda: torch.nn.LSTM(3, 4)(x, LSTM_STATES[name]))
    assert_tells_the_same(raised(lambda: ours.LSTM(3, 4)(x, LSTM_STATES[name])), expected)


def test_the_two_sizes_of_a_projected_state() -> None:
    wrong = zeros(1, 2, 4), zeros(1, 2, 4)
    expected = raised(lambda: torch.nn.LSTM(3, 4, proj_size=2)(x, wrong))
    assert_tells_the_same(raised(lambda: ours.LSTM(3, 4, proj_size=2)(x, wrong)), expected)


@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_two_states_for_a_cell_with_one(kind: str) -> None:
    pair = zeros(1, 2, 4), zeros(1, 2, 4)
    expected = raised(lambda: getattr(torch.nn, kind)(3, 4)(x, pair))
    assert_tells_the_same(raised(lambda: getattr(ours, kind)(3, 4)(x, pair)), expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_weights_of_another_module(kind: str) -> None:
    for other in (torch.nn.LSTM(3, 5), torch.nn.GRU(3, 4, 2), torch.nn.RNN(3, 4, bias=False)):
        if type(other).__name__ == kind:
            continue
        expected = raised(lambda: getattr(torch.nn, kind)(3, 4).load_state_dict(other.state_dict()))  # noqa: B023
        found = raised(lambda: getattr(ours, kind)(3, 4).load_state_dict(other.state_dict()))  # noqa: B023
        assert type(found) is type(expected)
        assert str(found) == str(expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "PeepholeLSTM"])
def test_dropout_without_a_second_layer_is_warned_of(kind: str) -> None:
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last recurrent layer"):
        getattr(ours, kind)(3, 4, dropout=0.5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_another_device(kind: str) -> None:
    """The device of no numbers stands for a second one."""
    module, elsewhere = getattr(ours, kind)(3, 4), zeros(1, 2, 4).to("meta")
    with pytest.raises(RuntimeError, match=r"Input and parameter tensors are not at the same device.*meta.*cpu"):
        module(x.to("meta"))
    with pytest.raises(RuntimeError, match=r"Input and hidden tensors are not at the same device.*cpu.*meta"):
        module(x, (elsewhere, elsewhere) if kind == "LSTM" else elsewhere)


def test_what_torch_has_not() -> None:
    with pytest.raises(ValueError, match="Engine: expected one of auto, native, plain, got 'fast'"):
        ours.LSTM(3, 4, engine="fast")
    with pytest.raises(AttributeError, match="no attribute 'QuasiRNN'"):
        _ = ours.QuasiRNN
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # torch.jit itself is deprecated
        _assert_jit_is_refused()


def _assert_jit_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"SLSTM cannot be scripted"):
        torch.jit.script(torch.nn.Sequential(ours.from_cell(ours.SLSTM.cell)(3, 4)))
    with pytest.raises(RuntimeError, match=r"gatescope.nn.GRU cannot be traced by torch.jit.*state_dict"):
        torch.jit.trace(ours.GRU(3, 4), x)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "no input"])
def test_modules_of_other_cells_make_the_errors_of_a_gru(name: str) -> None:
    expected = raised(lambda: CALLS[name](torch.nn.GRU(3, 4)))
    assert_tells_the_same(raised(lambda: CALLS[name](ours.MinGRU(3, 4))), expected)


@pytest.mark.parametrize(
    "name", [name for name in CONSTRUCTIONS if "GRU(" in name or "size" in name or "layers" in name]
)
def test_modules_of_other_cells_are_constructed_as_a_gru(name: str) -> None:
    class Other:
        RNN = GRU = LSTM = staticmethod(ours.SLSTM)

    assert type(raised(lambda: CONSTRUCTIONS[name](Other))) is type(raised(lambda: CONSTRUCTIONS[name](torch.nn)))
