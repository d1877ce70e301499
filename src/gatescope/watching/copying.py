"""Making a `Call` of what a module was given and what it gave, without touching either.

`B` sequence, `N` neuron.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gatescope.nn import GRU, LSTM, RNN, Recurrent
from gatescope.nn.packing import batch_of
from gatescope.watching.calls import Call

LAYERED: tuple[type, ...] = (nn.RNN, nn.LSTM, nn.GRU, Recurrent)
CELLS: tuple[type, ...] = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)


class _UnreadableError(Exception):
    """What went through a call is not what a recurrent module takes and gives; the message ends the sentence."""


class Recorder:
    """Keeps the calls of one module."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kept: list[Call] = []
        self._weights: dict[str, Tensor] = {}  # copies
        self._twin: Any = None
        self._returned: Any = None  # the states that the last call returned

    @property
    def calls(self) -> int:
        """How many calls were kept."""
        return len(self.kept)

    def see(self, module: Any, given: tuple[Any, ...], named: dict[str, Any], result: Any, base: bool) -> None:
        """Keep a call; whatever goes wrong becomes its problem, because the program that made it goes on."""
        try:
            call = self._call(module, given, named, result, "" if base else type(module).__name__)
        except _UnreadableError as problem:
            call = Call.unrecorded(self.name, f"{self.name} cannot be recorded: {problem}")
        except Exception as error:  # noqa: BLE001  a fault here must not become one of the model
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            call = Call.unrecorded(self.name, f"{self.name} cannot be recorded: copying its call failed ({problem}).")
        self.kept.append(call)

    def _call(self, module: Any, given: tuple[Any, ...], named: dict[str, Any], result: Any, own: str) -> Call:
        if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            raise _UnreadableError("torch.jit.trace was running it. Record it outside of the trace.")
        if named.get("interventions") or named.get("interventions_reverse"):
            raise _UnreadableError("it was called with interventions. Use its own record(..., interventions=...).")
        inputs, started = _arguments(given, named, own)
        cell = isinstance(module, CELLS)
        outputs, after = _parts(module, result, cell, own)
        _expect_plain([*_tensors(inputs), *_tensors(started), *_tensors(outputs), *_tensors(after)])
        with _as_it_is():
            if cell:  # a step is a sequence of one
                inputs, outputs = inputs.unsqueeze(0), outputs.unsqueeze(0)
                started = None if started is None else _deeper(started)
                after = _deeper(after)
            weights = _weights_of(module, cell)
            _expect_plain(list(weights.values()))
            batch_first = not cell and module.batch_first
            single = not isinstance(inputs, PackedSequence) and inputs.dim() == 2
            twin = self._twin_of(module, weights)
            call = Call(
                self.name,
                twin,
                batch_of(_copied(inputs), batch_first),
                None if started is None else _states(twin.initial, started, single),
                batch_of(_copied(outputs), batch_first).inputs,
                _states(twin.initial, after, single),
                _problem(self.name, module, outputs, weights, cell),
                own,
                started is not None and self._returned is not None and _same(given, named, self._returned),
            )
        _expect_sizes(call, own)
        self._returned = result if cell else after
        return call

    def _twin_of(self, module: Any, weights: Mapping[str, Tensor]) -> Any:
        """The same module of gatescope.nn with copies of the weights; they are copied again only when they changed.

        The values are compared: assigning to `.data` leaves no other mark.
        """
        known = self._weights
        if (
            self._twin is None
            or known.keys() != weights.keys()
            or not all(map(_equal, weights.values(), known.values()))
        ):
            self._weights = {name: value.detach().clone() for name, value in weights.items()}
            self._twin = _made(module, self._weights)
        return self._twin


def _arguments(given: tuple[Any, ...], named: dict[str, Any], own: str) -> tuple[Any, Any]:
    """The inputs and the initial states among the arguments of a call."""
    named = {name: value for name, value in named.items() if not name.startswith("interventions")}
    if len(given) > 2 or not named.keys() <= {"input", "hx"} or not (given or "input" in named):
        raise _UnreadableError(
            f"{own}.forward takes other arguments than its base, and does not call the base's forward."
        )
    return given[0] if given else named["input"], given[1] if len(given) > 1 else named.get("hx")


def _parts(module: Any, result: Any, cell: bool, own: str) -> tuple[Any, Any]:
    """The hidden states and the states after the last step among the results of a call."""
    two = isinstance(module, nn.LSTMCell) or not cell
    if two and not (isinstance(result, tuple | list) and len(result) == 2):
        raise _UnreadableError(
            f"{own}.forward returns something else than its base, and does not call the base's forward."
        )
    if not cell:
        return result[0], result[1]
    return (result[0], result) if two else (result, result)


def _tensors(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, PackedSequence):
        return [value.data]
    return list(value) if isinstance(value, tuple | list) else [value]


def _expect_plain(values: Sequence[Any]) -> None:
    """Refuse what has no values that could be copied."""
    wrapped = getattr(getattr(torch._C, "_functorch", None), "is_functorch_wrapped_tensor", lambda _: False)
    for value in values:
        if not isinstance(value, Tensor):
            raise _UnreadableError(
                f"expected tensors, got {type(value).__name__}, as from a tracer. Record it outside of that."
            )
        if wrapped(value):
            raise _UnreadableError("it ran inside torch.func (vmap, grad, jvp). Record it outside of that.")
        if value.is_meta or _dispatch(type(value)) is not _dispatch(Tensor):
            kind = "meta tensors" if value.is_meta else type(value).__name__
            raise _UnreadableError(f"it ran on {kind}, which have no values. Record it with real tensors.")


@contextmanager
def _as_it_is() -> Iterator[None]:
    """Inside, no gradient, autocast, function mode or dispatch mode of the program takes part in what is computed."""
    with ExitStack() as stack:
        stack.enter_context(torch._C.DisableTorchFunction())
        if torch._C._len_torch_dispatch_stack():
            from torch.utils._python_dispatch import _disable_current_modes  # noqa: PLC0415  rarely needed

            stack.enter_context(_disable_current_modes())
        stack.enter_context(torch.no_grad())
        yield


def _dispatch(kind: type) -> Any:
    return getattr(kind, "__torch_dispatch__", None)


def _deeper(states: Any) -> Any:
    """States of a cell, (B, N), as those of one layer."""
    return tuple(_deeper(value) for value in states) if isinstance(states, tuple | list) else states.unsqueeze(0)


def _weights_of(module: Any, cell: bool) -> dict[str, Tensor]:
    """The weights with which a module ran, by their names in one with layers."""
    if cell:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if module.bias else ("weight_ih", "weight_hh")
        return {f"{name}_l0": getattr(module, name) for name in names}
    if isinstance(module, Recurrent):
        return {name: getattr(module, name) for names in module._names for name in names}
    return dict(zip(module._flat_weights_names, module._flat_weights, strict=True))


def _made(module: Any, weights: Mapping[str, Tensor]) -> Any:
    """A module of gatescope.nn with the settings of another and these weights.

    It is not made anew, and its weights are plain attributes: otherwise that would take as long as a small module runs.
    """
    if isinstance(module, Recurrent):
        kind: Any = type(module)
    else:
        kind = next(
            mine
            for mine, theirs in (
                (LSTM, (nn.LSTM, nn.LSTMCell)),
                (GRU, (nn.GRU, nn.GRUCell)),
                (RNN, (nn.RNN, nn.RNNCell)),
            )
            if isinstance(module, theirs)
        )
    twin = kind.__new__(kind)
    settings = {**vars(module), "_parameters": {}, **weights}
    settings.pop("forward", None)
    if isinstance(module, CELLS):
        settings |= {"num_layers": 1, "batch_first": False, "dropout": 0.0, "bidirectional": False, "proj_size": 0}
    twin.__dict__ = settings
    return twin


def _problem(name: str, module: Any, outputs: Any, weights: Mapping[str, Tensor], cell: bool) -> str:
    """Why a call cannot be recorded; "" where it can."""
    if not cell and module.training and module.dropout and module.num_layers > 1:
        return (
            f"{name} drops values between its layers while it trains, and only torch knows which ones; record it after "
            "model.eval()."
        )
    first = next(iter(weights.values()))
    dtype = outputs.data.dtype if isinstance(outputs, PackedSequence) else outputs.dtype
    if dtype != first.dtype:
        return (
            f"{name} has weights of {first.dtype} and computed in {dtype}, as under autocast; record it outside of "
            "torch.autocast."
        )
    return ""


def _expect_sizes(call: Call, own: str) -> None:
    """Refuse what an own `forward` gave in the place of hidden states and states, but in another form."""
    module, (steps, rows, _) = call.module, call.batch.inputs.shape
    places = module.num_layers * (2 if module.bidirectional else 1)
    width = (module.proj_size or module.hidden_size) * (2 if module.bidirectional else 1)
    wanted = {name: (places, rows, module._size_of(name)) for name in module.initial}
    states = [call.final, *([] if call.state is None else [call.state])]
    fits = all(tuple(value.shape) == wanted[name] for each in states for name, value in each.items())
    if tuple(call.outputs.shape) != (steps, rows, width) or not fits:
        raise _UnreadableError(
            f"{own or 'it'} gives results of another form than its base, and does not call the base's forward."
        )


def _copied(values: Any) -> Any:
    if isinstance(values, PackedSequence):
        return PackedSequence(_copied(values.data), *values[1:])
    return values.detach().as_subclass(Tensor).clone()


def _states(names: Sequence[str], given: Any, single: bool) -> dict[str, Tensor]:
    """The states by name, (layers · directions, B, N), as copies."""
    values = given if isinstance(given, tuple | list) else (given,)
    if len(values) != len(names):
        raise _UnreadableError(f"it has {len(names)} states, {', '.join(names)}; {len(values)} went through the call.")
    return {name: _copied(value.unsqueeze(1) if single else value) for name, value in zip(names, values, strict=True)}


def _same(given: tuple[Any, ...], named: dict[str, Any], returned: Any) -> bool:
    """Whether the states that a call was given are the objects that the one before returned."""
    started = given[1] if len(given) > 1 else named.get("hx")
    one, other = _tensors(started), _tensors(returned)
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _equal(value: Tensor, known: Tensor) -> bool:
    return (
        value.shape == known.shape
        and value.dtype == known.dtype
        and value.device == known.device
        and torch.equal(value, known)
    )
