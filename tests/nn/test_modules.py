"""Modules: names and values of weights, copies, files, dropout, compilers; and the modules of other cells."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from gatescope import CELLS, define
from gatescope import nn as gatescope_nn
from gatescope.equations import EquationError, tanh
from tests.reference.cells import REFERENCES, Values, Weights, run

KINDS = ("RNN", "LSTM", "GRU")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 3, "bidirectional": True, "dropout": 0.25},
    {"bias": False, "batch_first": True},
    {"num_layers": 2, "proj_size": 2, "bidirectional": True},
    {"proj_size": 3, "bias": False},
    {"nonlinearity": "relu", "dtype": torch.float64},
]


def options_of(kind: str) -> list[dict[str, Any]]:
    unknown = {"RNN": {"proj_size"}, "LSTM": {"nonlinearity"}, "GRU": {"proj_size", "nonlinearity"}}[kind]
    return [options for options in OPTIONS if not unknown & set(options)]


def pair(kind: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """Return a module of torch.nn and its twin of gatescope.nn, created with the same seed."""
    torch.manual_seed(3)
    reference = getattr(torch.nn, kind)(5, 6, **options)
    torch.manual_seed(3)
    return reference, getattr(gatescope_nn, kind)(5, 6, **options)


CASES = [(kind, options) for kind in KINDS for options in options_of(kind)]


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_weights_are_initialised_as_in_torch(kind: str, options: dict[str, Any]) -> None:
    """Names, order, shapes and values for a seed are equal, and so is the state of the generator afterwards."""
    reference, twin = pair(kind, options)
    after = torch.get_rng_state()
    assert list(twin.state_dict()) == list(reference.state_dict())
    for expected, actual in zip(reference.parameters(), twin.parameters(), strict=True):
        assert torch.equal(actual, expected)
        assert actual.dtype == expected.dtype
    torch.manual_seed(4)
    reference.reset_parameters()
    torch.manual_seed(4)
    twin.reset_parameters()
    assert all(map(torch.equal, twin.parameters(), reference.parameters()))
    assert [list(map(id, weights)) for weights in twin.all_weights] == [
        [id(twin.get_parameter(name)) for name in names]
        for names in zip(*[iter(dict(twin.named_parameters()))] * len(twin.all_weights[0]), strict=True)
    ]
    pair(kind, options)
    assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_state_dict_loads_in_both_directions(kind: str, options: dict[str, Any]) -> None:
    reference, twin = pair(kind, options)
    reference, twin = reference.double(), twin.double()
    torch.nn.init.normal_(reference.weight_hh_l0)
    twin.load_state_dict(reference.state_dict(), strict=True)
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(twin.eval()(x), reference.eval()(x), rtol=1e-12, atol=1e-12)
    torch.nn.init.normal_(twin.weight_ih_l0)
    reference.load_state_dict(twin.state_dict(), strict=True)
    torch.testing.assert_close(twin(x), reference(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_repr_is_that_of_torch(kind: str, options: dict[str, Any]) -> None:
    reference, twin = pair(kind, options)
    assert repr(twin) == repr(reference)
    assert repr(torch.nn.Sequential(twin)) == repr(torch.nn.Sequential(reference))


def test_module_is_instance_of_torch_class() -> None:
    """Programs check the class, for instance to choose an initialisation."""
    for kind in KINDS:
        module = getattr(gatescope_nn, kind)(2, 3)
        assert isinstance(module, getattr(torch.nn, kind))
        module.flatten_parameters()


def copies(module: torch.nn.Module) -> list[Any]:
    stream = io.BytesIO()
    torch.save(module, stream)
    stream.seek(0)
    return [
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),  # noqa: S301 - written on the same line
        torch.load(stream, weights_only=False),
    ]


@define(paper="", titles=dict(h="hidden state"))
def leaky(x, u, p, s):
    return dict(h=p.a * s.h + tanh(x.h + u.h))


EVERY_MODULE = [
    gatescope_nn.RNN,
    gatescope_nn.LSTM,
    gatescope_nn.GRU,
    *gatescope_nn.BUILT_IN.values(),
    gatescope_nn.from_cell(leaky),
]


@pytest.mark.parametrize("kind", EVERY_MODULE, ids=lambda kind: kind.__name__)
def test_copies_are_equal_and_independent(kind: Any) -> None:
    module = kind(3, 4, 2, bidirectional=True, engine="plain").eval()
    x = torch.randn(5, 2, 3)
    expected = module(x)
    for other in copies(module):
        assert type(other) is type(module)
        assert other.engine == "plain"
        assert not other.training
        torch.testing.assert_close(other(x), expected, rtol=0, atol=0)
        with torch.no_grad():
            other.weight_ih_l0.add_(1)
        torch.testing.assert_close(module(x), expected, rtol=0, atol=0)
        assert not torch.equal(other(x)[0], expected[0])


@pytest.mark.parametrize("kind", EVERY_MODULE, ids=lambda kind: kind.__name__)
def test_weights_load_from_a_file(kind: Any) -> None:
    module, other = kind(3, 4), kind(3, 4)
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    other.load_state_dict(torch.load(stream, weights_only=True))
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(other(x), module(x), rtol=0, atol=0)


@pytest.mark.parametrize("kind", EVERY_MODULE, ids=lambda kind: kind.__name__)
def test_module_converts_to_other_dtypes(kind: Any) -> None:
    module = kind(3, 4, dtype=torch.float64)
    assert {value.dtype for value in module.parameters()} == {torch.float64}
    exact = module(torch.ones(5, 2, 3, dtype=torch.float64))[0]
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float16, 2e-2), (torch.bfloat16, 1e-1)):
        output = copy.deepcopy(module).to(dtype)(torch.ones(5, 2, 3, dtype=dtype))[0]
        assert output.dtype == dtype
        torch.testing.assert_close(output.double(), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_between_layers_only(kind: str) -> None:
    """With p = 1 the second layer reads zeros; without dropout it reads the outputs of the first layer."""
    x = torch.randn(6, 3, 2, dtype=torch.float64)
    module = getattr(gatescope_nn, kind)(2, 3, 2, dropout=1.0, dtype=torch.float64)
    upper = getattr(gatescope_nn, kind)(3, 3, dtype=torch.float64)
    upper.load_state_dict({f"{n[:-1]}0": v for n, v in module.state_dict().items() if n.endswith("l1")})
    torch.testing.assert_close(module(x)[0], upper(torch.zeros(6, 3, 3, dtype=torch.float64))[0])
    module.eval()
    lower = getattr(gatescope_nn, kind)(2, 3, dtype=torch.float64)
    lower.load_state_dict({n: v for n, v in module.state_dict().items() if n.endswith("l0")})
    torch.testing.assert_close(module(x)[0], upper(lower(x)[0])[0])
    module.dropout = 0.0
    module.train()
    torch.testing.assert_close(module(x)[0], upper(lower(x)[0])[0])


def test_dropout_drops_the_requested_share() -> None:
    """The second layer returns its inputs, so that dropped values are visible."""
    module = gatescope_nn.RNN(1, 400, 2, nonlinearity="relu", bias=False, dropout=0.3)
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.zero_()
            if name == "weight_ih_l0":
                value.fill_(1)
            elif name == "weight_ih_l1":
                value.copy_(torch.eye(400))
    torch.manual_seed(0)
    outputs = module(torch.ones(50, 4, 1))[0]
    assert set(outputs.unique().tolist()) == {0.0, outputs.max().item()}
    assert outputs.max().item() == pytest.approx(1 / 0.7)
    # 80,000 independent draws: four standard deviations are 0.0065.
    assert (outputs == 0).double().mean().item() == pytest.approx(0.3, abs=0.0065)
    torch.manual_seed(1)
    assert not torch.equal(module(torch.ones(50, 4, 1))[0], outputs)
    assert torch.equal(module.eval()(torch.ones(50, 4, 1))[0], torch.ones(50, 4, 400))


def test_every_cell_has_a_module() -> None:
    assert set(gatescope_nn.BUILT_IN) >= {"PeepholeLSTM", "CoupledLSTM", "LSTM1997", "MinGRU", "SLSTM", "ElmanSigmoid"}
    assert {module.cell.name for module in gatescope_nn.BUILT_IN.values()} == set(CELLS) - {
        "elman",
        "elman_relu",
        "lstm",
        "gru",
    }
    for name, module in gatescope_nn.BUILT_IN.items():
        assert getattr(gatescope_nn, name) is module is gatescope_nn.from_cell(module.cell)
        assert name in dir(gatescope_nn)
        assert module.__name__ == name


def test_weights_of_other_cells_have_documented_shapes() -> None:
    module = gatescope_nn.PeepholeLSTM(3, 4, 2, bidirectional=True)
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    sizes = {"weight_ih": (16, 3), "weight_hh": (16, 4), "bias_ih": (16,), "weight_p": (12,)}
    assert shapes == {
        f"{name}_l{layer}{end}": (16, 8) if layer and name == "weight_ih" else size
        for layer in (0, 1)
        for end in ("", "_reverse")
        for name, size in sizes.items()
    }
    assert max(value.abs().max().item() for value in module.parameters()) <= 0.5
    assert repr(module) == "PeepholeLSTM(3, 4, num_layers=2, bidirectional=True)"
    assert list(gatescope_nn.MinGRU(3, 4, bias=False).state_dict()) == ["weight_ih_l0"]
    assert [len(weights) for weights in module.all_weights] == [4] * 4


def weights_of(module: Any, end: str) -> Weights:
    """Return the weights of one direction of a module for the reference."""
    cell, reference = module.cell, REFERENCES[module.cell.name]
    values = {name: value.detach().numpy() for name, value in module.named_parameters()}

    def split(kind: str, names: tuple[str, ...]) -> Values:
        array = values.get(f"{kind}_{end}")
        parts = [np.zeros(module.hidden_size)] * len(names) if array is None else np.split(array, max(1, len(names)))
        return dict(zip(names, parts, strict=False))

    assert set(cell.tape.input_drives) == set(reference.inputs)
    return Weights(
        split("weight_ih", cell.tape.input_drives),
        split("bias_ih", cell.tape.input_drives),
        split("weight_hh", cell.tape.recurrent_drives),
        split("weight_p", cell.tape.parameters),
    )


@pytest.mark.parametrize("kind", gatescope_nn.BUILT_IN.values(), ids=lambda kind: kind.__name__)
@settings(max_examples=12)
@given(
    layers=st.integers(1, 2),
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    bias=st.booleans(),
    started=st.booleans(),
    seed=st.integers(0, 99),
)
def test_modules_of_other_cells_agree_with_references(
    kind: Any, layers: int, lengths: list[int], bias: bool, started: bool, seed: int
) -> None:
    """Each sequence and each direction of each layer agrees with loops written from the papers."""
    torch.manual_seed(seed)
    module = kind(2, 3, layers, bias, bidirectional=True, dtype=torch.float64)
    rows = [torch.randn(length, 2, dtype=torch.float64) for length in lengths]
    states = [torch.rand(2 * layers, len(rows), 3, dtype=torch.float64) for _ in module.initial]
    hx = None if not started else states[0] if len(states) == 1 else tuple(states)
    output, final = module(pack_sequence(rows, enforce_sorted=False), hx)
    padded = torch.nn.utils.rnn.pad_packed_sequence(output)[0].detach().numpy()
    last = [value.detach().numpy() for value in (final if isinstance(final, tuple) else (final,))]
    for k, row in enumerate(rows):
        layer_inputs = row.numpy()
        for layer in range(layers):
            sides = []
            for reverse, end in enumerate((f"l{layer}", f"l{layer}_reverse")):
                start = {
                    name: states[n][2 * layer + reverse, k].numpy() * started for n, name in enumerate(module.initial)
                }
                x = layer_inputs[::-1] if reverse else layer_inputs
                signals = run(kind.cell.name, weights_of(module, end), x, start)
                for n, name in enumerate(module.initial):
                    expected = signals[name][-1]
                    np.testing.assert_allclose(last[n][2 * layer + reverse, k], expected, rtol=1e-11, atol=1e-12)
                sides.append(signals["h"][::-1] if reverse else signals["h"])
            layer_inputs = np.concatenate(sides, axis=1)
        np.testing.assert_allclose(padded[: len(row), k], layer_inputs, rtol=1e-11, atol=1e-12)


def test_feedforward_module_has_no_states() -> None:
    module = gatescope_nn.FeedForward(3, 4)
    output, final = module(torch.ones(5, 2, 3))
    assert final == ()
    assert torch.equal(module(torch.ones(5, 2, 3), final)[0], output)
    assert torch.equal(output[0], output[4])


def test_peephole_lstm_with_zero_peepholes_is_an_lstm() -> None:
    reference: Any = torch.nn.LSTM(3, 4, dtype=torch.float64)
    twin: Any = gatescope_nn.PeepholeLSTM(3, 4, dtype=torch.float64)
    with torch.no_grad():
        twin.weight_ih_l0.copy_(reference.weight_ih_l0)
        twin.weight_hh_l0.copy_(reference.weight_hh_l0)
        twin.bias_ih_l0.copy_(reference.bias_ih_l0 + reference.bias_hh_l0)
        twin.weight_p_l0.zero_()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(twin(x), reference(x), rtol=1e-12, atol=1e-12)


def test_from_cell_module_computes_its_equations() -> None:
    kind: Any = gatescope_nn.from_cell(leaky)
    assert kind is gatescope_nn.from_cell(leaky)
    assert kind.__name__ == "Leaky"
    module: Any = kind(3, 4, dtype=torch.float64)
    x = torch.randn(3, 1, 3, dtype=torch.float64)
    h = torch.zeros(4, dtype=torch.float64)
    for value in x[:, 0]:
        drive = module.weight_ih_l0 @ value + module.bias_ih_l0 + module.weight_hh_l0 @ h
        h = module.weight_p_l0 * h + torch.tanh(drive)
    torch.testing.assert_close(module(x)[1][0, 0], h)
    with pytest.raises(EquationError):
        gatescope_nn.from_cell(define(paper="")(lambda x, u, p, s: dict(g=x.g)))


COMPILED = """
import torch
from gatescope import nn

for kind in (nn.LSTM, nn.SLSTM):
    for program in (torch.nn.Sequential(kind(3, 4)), kind(3, 4)):
        x = torch.randn(5, 2, 3, requires_grad=True)
        compiled = torch.compile(program, backend="aot_eager")
        for variant in (compiled, program):
            variant(x)[0].sum().backward()
        (actual, expected), gradient_of_both = (compiled(x)[0], program(x)[0]), x.grad
        assert torch.equal(actual, expected)
        (gradient,) = torch.autograd.grad(expected.sum(), x)
        assert torch.allclose(gradient_of_both, 2 * gradient)

plain = torch.nn.Sequential(nn.SLSTM(3, 4, engine="plain"))
exported = torch.export.export(plain, (torch.randn(5, 2, 3),)).module()
assert torch.equal(exported(x)[0], plain(x)[0])
"""


def test_compiled_and_exported_module_computes_the_same() -> None:
    """Runs in a process of its own, because torch.compile does not understand the type checks of the tests."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
