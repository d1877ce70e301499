"""RNN, LSTM and GRU against torch.nn: outputs and gradients in every form of input, to the last digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils import prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from gatescope import nn as gatescope_nn

KINDS = ("RNN", "LSTM", "GRU")


def pair(kind: str, *arguments: Any, seed: int = 0, **options: Any) -> tuple[Any, Any]:
    """Return a module of torch.nn and its twin of gatescope.nn, created with the same seed."""
    torch.manual_seed(seed)
    reference = getattr(torch.nn, kind)(*arguments, **{k: v for k, v in options.items() if k != "engine"})
    torch.manual_seed(seed)
    return reference, getattr(gatescope_nn, kind)(*arguments, **options)


def assert_equal(actual: Any, expected: Any, name: str = "") -> None:
    """Assert equality up to the rounding of float64."""
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12, msg=lambda text: f"{name} {text}")


@dataclass
class Case:
    """Arguments of a module and of a call."""

    kind: str
    sizes: tuple[int, int, int]  # input size, hidden size, number of layers
    options: dict[str, Any]
    form: str  # "batch", "single" or "packed"
    lengths: list[int]
    started: bool
    seed: int

    def inputs(self) -> tuple[Any, list[Tensor]]:
        """Return the input, and its tensors that require gradients."""
        torch.manual_seed(self.seed)
        count = self.sizes[0]
        if self.form == "single":
            x = torch.randn(self.lengths[0], count, dtype=torch.float64, requires_grad=True)
            return x, [x]
        if self.form == "batch":
            size = self.lengths[0], len(self.lengths), count
            if self.options["batch_first"]:
                size = size[1], size[0], count
            x = torch.randn(size, dtype=torch.float64, requires_grad=True)
            return x, [x]
        rows = [torch.randn(length, count, dtype=torch.float64, requires_grad=True) for length in self.lengths]
        return pack_sequence(rows, enforce_sorted=False), rows

    def states(self) -> Any:
        """Return the initial states, or None."""
        if not self.started:
            return None
        torch.manual_seed(self.seed + 1)
        directions = self.sizes[2] * (2 if self.options["bidirectional"] else 1)
        rows = () if self.form == "single" else (len(self.lengths),)
        h, c = (
            torch.randn(directions, *rows, size, dtype=torch.float64, requires_grad=True)
            for size in (self.options.get("proj_size", 0) or self.sizes[1], self.sizes[1])
        )
        return (h, c) if self.kind == "LSTM" else h


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(KINDS))
    sizes = draw(st.integers(1, 5)), draw(st.integers(1, 9)), draw(st.integers(1, 3))
    options: dict[str, Any] = {name: draw(st.booleans()) for name in ("bias", "batch_first", "bidirectional")}
    options["dropout"] = draw(st.sampled_from([0.0, 0.3, 1.0])) if sizes[2] > 1 else 0.0
    if kind == "LSTM" and sizes[1] > 1:
        options["proj_size"] = draw(st.integers(0, sizes[1] - 1))
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    form = draw(st.sampled_from(["batch", "single", "packed"]))
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    return Case(kind, sizes, options, form, lengths, draw(st.booleans()), draw(st.integers(0, 99)))


def results_of(module: Any, case: Case) -> dict[str, Tensor]:
    """Return the outputs and final states of a call, and the gradients of a randomly weighted sum of them."""
    x, leaves = case.inputs()
    states = case.states()
    torch.manual_seed(case.seed + 2)  # for dropout
    output, final = module(x, states)
    results = {"output": output.data if isinstance(output, PackedSequence) else output}
    if isinstance(output, PackedSequence):
        results |= {
            name: value for name, value in zip(output._fields[1:], output[1:], strict=True) if value is not None
        }
    results |= {f"final {k}": value for k, value in enumerate(final if isinstance(final, tuple) else [final])}
    torch.manual_seed(case.seed + 3)
    sums = [(value * torch.randn_like(value)).sum() for value in results.values() if value.is_floating_point()]
    torch.stack(sums).sum().backward()
    initial = [] if states is None else list(states) if isinstance(states, tuple) else [states]
    for name, tensors in (("x", leaves), ("state", initial)):
        results |= {f"gradient of {name} {k}": value.grad for k, value in enumerate(tensors) if value.grad is not None}
    return results | {f"gradient of {name}": value.grad for name, value in module.named_parameters()}


@settings(max_examples=80)
@given(case=cases(), engine=st.sampled_from(["auto", "plain"]))
def test_module_agrees_with_torch(case: Case, engine: str) -> None:
    """Also with dropout: the same seed drops the same values."""
    reference, twin = pair(case.kind, *case.sizes, seed=case.seed, dtype=torch.float64, engine=engine, **case.options)
    expected, actual = results_of(reference, case), results_of(twin, case)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert_equal(actual[name], value, name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_module_agrees_with_torch_in_lower_precision(kind: str, dtype: torch.dtype) -> None:
    reference, twin = pair(kind, 3, 8, 2, bidirectional=True, dtype=torch.float32)
    reference, twin = reference.to(dtype), twin.to(dtype)
    x = torch.randn(6, 2, 3).to(dtype)
    output, final = twin(x)
    expected, expected_final = reference(x)
    # Half precision rounds after every operation, and the two libraries have different operations.
    tolerance = {torch.float32: 1e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}[dtype]
    torch.testing.assert_close(output, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(final, expected_final, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_output_has_order_of_input(kind: str) -> None:
    reference, twin = pair(kind, 3, 4, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(5, 4, 3, dtype=torch.float64)
    for lengths, in_order in (([5, 3, 3, 1], True), ([2, 5, 1, 3], False), ([4, 4, 4, 4], True)):
        packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=in_order)
        expected, output = reference(packed)[0], twin(packed)[0]
        assert_equal(output.data, expected.data)
        assert output.batch_sizes is packed.batch_sizes
        assert output.sorted_indices is packed.sorted_indices
        assert output.unsorted_indices is packed.unsorted_indices


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_outputs_can_be_changed_in_place(kind: str, bidirectional: bool, packed: bool) -> None:
    gradients = []
    for module in pair(kind, 3, 4, bidirectional=bidirectional, dtype=torch.float64):
        torch.manual_seed(1)
        x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
        output, final = module(pack_padded_sequence(x, torch.tensor([5, 5])) if packed else x)
        for value in (output.data if packed else output, *(final if isinstance(final, tuple) else [final])):
            value.relu_().sum().backward(retain_graph=True)
        gradients.append(x.grad)
    assert_equal(gradients[1], gradients[0])


def test_empty_batch_has_shapes_of_torch() -> None:
    for kind in KINDS:
        reference, twin = pair(kind, 3, 4, 2, bidirectional=True)
        for expected, actual in zip(reference(torch.zeros(5, 0, 3)), twin(torch.zeros(5, 0, 3)), strict=True):
            assert [v.shape for v in (actual if isinstance(actual, tuple) else [actual])] == [
                v.shape for v in (expected if isinstance(expected, tuple) else [expected])
            ]


def test_second_derivatives_need_the_plain_engine(compiled: None) -> None:
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    module = gatescope_nn.LSTM(2, 3, bidirectional=True, dtype=torch.float64, engine="plain")
    assert torch.autograd.gradgradcheck(lambda v: module(v)[0], (x,))
    module = gatescope_nn.LSTM(2, 3, dtype=torch.float64)
    with pytest.raises(RuntimeError, match='engine="plain"'):
        torch.autograd.grad(module(x)[0].sum(), x, create_graph=True)


def test_weights_that_are_not_parameters_are_used() -> None:
    """functional_call, weight normalisation and vmap replace attributes; a call uses their current values."""
    reference, twin = pair("LSTM", 3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    other = {name: value * 2 for name, value in reference.state_dict().items()}
    assert_equal(torch.func.functional_call(twin, other, (x,)), torch.func.functional_call(reference, other, (x,)))
    batch = torch.stack([x, x * 2])
    assert_equal(torch.vmap(lambda v: twin(v)[0])(batch)[1], reference(x * 2)[0])
    for module in (reference, twin):
        torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
        module.parametrizations.weight_hh_l0.original0.data *= 3
    assert_equal(twin(x), reference(x))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_pruned_weights_have_no_gradient(kind: str) -> None:
    results = []
    for library in (torch.nn, gatescope_nn):
        torch.manual_seed(0)
        module = getattr(library, kind)(5, 4, 2)
        prune.l1_unstructured(module, "weight_ih_l0", amount=0.5)
        outputs, _ = module(torch.randn(6, 3, 5))
        pruned = module.weight_ih_l0_mask == 0
        gradient, second_gradient = (
            torch.autograd.grad(outputs.sum(), module.weight_ih_l0_orig, retain_graph=keep)[0] for keep in (True, False)
        )
        assert pruned.sum() == pruned.numel() // 2
        assert not gradient[pruned].any()
        assert torch.equal(gradient, second_gradient)
        results.append((outputs, gradient))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-6)


def test_projected_sequences_start_at_their_own_ends() -> None:
    """Each row of a packed batch begins its backward direction at its own last step, from its own projected state."""
    theirs, mine = pair("LSTM", 2, 4, proj_size=3, bidirectional=True, dtype=torch.float64)
    rows = [torch.randn(length, 2, dtype=torch.float64) for length in (5, 3, 1)]
    state = torch.randn(2, 3, 3, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    packed = pack_sequence(rows)
    (output, final), (expected, expected_final) = mine(packed, state), theirs(packed, state)
    assert_equal(output.data, expected.data, "outputs")
    for actual, other in zip(final, expected_final, strict=True):
        assert_equal(actual, other, "final states")


def test_autocast_keeps_precision_of_weights() -> None:
    reference, twin = pair("GRU", 3, 4)
    x = torch.randn(5, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        output = twin(x)[0]
        assert twin(x.bfloat16(), x.new_zeros(1, 2, 4).bfloat16())[0].dtype == torch.float32
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, reference(x)[0], rtol=1e-6, atol=1e-6)


def test_meta_device_returns_shapes() -> None:
    output, (h, c) = gatescope_nn.LSTM(3, 4, 2, proj_size=2, device="meta")(torch.empty(5, 2, 3, device="meta"))
    assert (output.shape, h.shape, c.shape) == ((5, 2, 2), (2, 2, 2), (2, 2, 4))
    assert output.device.type == "meta"
