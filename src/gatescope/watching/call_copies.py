"""Copying the arguments and results of a call into a `Call`, without changing either.

`B` sequences, `N` neurons, `P` projected values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gatescope.messages import Message
from gatescope.nn import GRU, LSTM, RNN, Recurrent
from gatescope.nn.packing import batch_of
from gatescope.watching.calls import Call, WatchError

LAYERED: tuple[type, ...] = (nn.RNN, nn.LSTM, nn.GRU, Recurrent)
CELLS: tuple[type, ...] = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)


class _UnrecordableError(WatchError):
    """A call that cannot be copied."""


class Recorder:
    """The calls of one module.

    Args:
        name: the name of the module.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[Call] = []
        self._weights: dict[str, Tensor] = {}  # copies
        self._twin: Any = None
        self._returned: Any = None  # the states that the last call returned

    @property
    def call_count(self) -> int:
        """The number of calls."""
        return len(self.calls)

    def record_call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, base: bool) -> None:
        """Copy a call. An error becomes the obstacle of the call, because the program must continue.

        Args:
            module: the module that was called.
            args: the positional arguments.
            kwargs: the keyword arguments.
            result: the result of the call.
            base: whether the `forward` of a base class was called, not the own one of a subclass.
        """
        try:
            call = self._copy_call(module, args, kwargs, result, "" if base else type(module).__name__)
        except _UnrecordableError as error:
            call = Call.unrecorded(self.name, self._obstacle(error.message))
        except Exception as error:  # noqa: BLE001 - an error of the recorder must not stop the model
            shown = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            call = Call.unrecorded(self.name, self._obstacle(Message("WATCH_COPYING_FAILED", error=shown)))
        self.calls.append(call)

    def _obstacle(self, reason: Message) -> Message:
        return Message("WATCH_CALL_UNRECORDABLE", name=self.name, reason=reason)

    def _copy_call(
        self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, subclass: str
    ) -> Call:
        if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            raise _UnrecordableError("WATCH_CALL_TRACED")
        if kwargs.get("interventions") or kwargs.get("interventions_reverse"):
            raise _UnrecordableError("WATCH_CALL_WITH_INTERVENTIONS")
        inputs, initial = _inputs_and_states(args, kwargs, subclass)
        is_cell = isinstance(module, CELLS)
        outputs, final = _outputs_and_states(module, result, is_cell, subclass)
        _check_readable([*_tensors(inputs), *_tensors(initial), *_tensors(outputs), *_tensors(final)])
        with _without_modes():
            if is_cell:  # its call is a sequence of one step
                inputs, outputs = inputs.unsqueeze(0), outputs.unsqueeze(0)
                initial = None if initial is None else _as_layer_states(initial)
                final = _as_layer_states(final)
            weights = _weights_of(module, is_cell)
            _check_readable(list(weights.values()))
            batch_first = not is_cell and module.batch_first
            single = not isinstance(inputs, PackedSequence) and inputs.dim() == 2
            twin = self._twin_of(module, weights)
            call = Call(
                self.name,
                twin,
                batch_of(_copied(inputs), batch_first),
                None if initial is None else _named_states(twin.initial, initial, single),
                batch_of(_copied(outputs), batch_first).inputs,
                _named_states(twin.initial, final, single),
                self._obstacle_of(module, outputs, weights, is_cell),
                subclass,
                initial is not None and self._returned is not None and _are_same(args, kwargs, self._returned),
            )
        _check_sizes(call, subclass)
        self._returned = result if is_cell else final
        return call

    def _obstacle_of(self, module: Any, outputs: Any, weights: Mapping[str, Tensor], is_cell: bool) -> Message | None:
        """Return why a copied call cannot be recorded; None if it can."""
        if not is_cell and module.training and module.dropout and module.num_layers > 1:
            return self._obstacle(Message("WATCH_DROPOUT_ACTIVE"))
        expected = next(iter(weights.values())).dtype
        dtype = outputs.data.dtype if isinstance(outputs, PackedSequence) else outputs.dtype
        if dtype != expected:
            return self._obstacle(Message("WATCH_AUTOCAST", expected=expected, dtype=dtype))
        return None

    def _twin_of(self, module: Any, weights: Mapping[str, Tensor]) -> Any:
        """Return a module of gatescope.nn with copies of the weights, which are copied again only if they changed.

        Values are compared, because an assignment to `.data` leaves no other mark.
        """
        known = self._weights
        if (
            self._twin is None
            or known.keys() != weights.keys()
            or not all(map(_are_equal, weights.values(), known.values()))
        ):
            self._weights = {name: value.detach().clone() for name, value in weights.items()}
            self._twin = _twin_module(module, self._weights)
        return self._twin


def _inputs_and_states(args: tuple[Any, ...], kwargs: dict[str, Any], subclass: str) -> tuple[Any, Any]:
    """Return the inputs and the initial states of a call."""
    kwargs = {name: value for name, value in kwargs.items() if not name.startswith("interventions")}
    if len(args) > 2 or not kwargs.keys() <= {"input", "hx"} or not (args or "input" in kwargs):
        raise _UnrecordableError("WATCH_ARGUMENTS_DIFFER", kind=subclass)
    return args[0] if args else kwargs["input"], args[1] if len(args) > 1 else kwargs.get("hx")


def _outputs_and_states(module: Any, result: Any, is_cell: bool, subclass: str) -> tuple[Any, Any]:
    """Return the hidden states and the final states of a call."""
    is_pair = isinstance(module, nn.LSTMCell) or not is_cell
    if is_pair and not (isinstance(result, tuple | list) and len(result) == 2):
        raise _UnrecordableError("WATCH_RESULTS_DIFFER", kind=subclass)
    if not is_cell:
        return result[0], result[1]
    return (result[0], result) if is_pair else (result, result)


def _tensors(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, PackedSequence):
        return [value.data]
    return list(value) if isinstance(value, tuple | list) else [value]


def _check_readable(values: Sequence[Any]) -> None:
    """Refuse arguments and results without values that can be copied."""
    wrapped = getattr(getattr(torch._C, "_functorch", None), "is_functorch_wrapped_tensor", lambda _: False)
    for value in values:
        if not isinstance(value, Tensor):
            raise _UnrecordableError("WATCH_NOT_TENSORS", kind=type(value).__name__)
        if wrapped(value):
            raise _UnrecordableError("WATCH_INSIDE_FUNC")
        if value.is_meta or _dispatch(type(value)) is not _dispatch(Tensor):
            kind = "meta tensors" if value.is_meta else type(value).__name__
            raise _UnrecordableError("WATCH_NO_VALUES", kind=kind)


@contextmanager
def _without_modes() -> Iterator[None]:
    """Switch off gradients and the function and dispatch modes of the program inside the block."""
    with ExitStack() as stack:
        stack.enter_context(torch._C.DisableTorchFunction())
        if torch._C._len_torch_dispatch_stack():
            from torch.utils._python_dispatch import _disable_current_modes  # noqa: PLC0415 - rarely needed

            stack.enter_context(_disable_current_modes())
        stack.enter_context(torch.no_grad())
        yield


def _dispatch(kind: type) -> Any:
    return getattr(kind, "__torch_dispatch__", None)


def _as_layer_states(states: Any) -> Any:
    """Return states of a cell, (B, N), as states of one layer, (1, B, N)."""
    return (
        tuple(_as_layer_states(value) for value in states) if isinstance(states, tuple | list) else states.unsqueeze(0)
    )


def _weights_of(module: Any, is_cell: bool) -> dict[str, Tensor]:
    """Return the current weights of a module, with the names of a module with layers."""
    if is_cell:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if module.bias else ("weight_ih", "weight_hh")
        return {f"{name}_l0": getattr(module, name) for name in names}
    if isinstance(module, Recurrent):
        return {name: getattr(module, name) for names in module._names for name in names}
    return dict(zip(module._flat_weights_names, module._flat_weights, strict=True))


def _twin_module(module: Any, weights: Mapping[str, Tensor]) -> Any:
    """Return a module of gatescope.nn with the settings of another module and these weights.

    It is created without its constructor, and its weights are plain attributes: otherwise creating it would take as
    long as running a small module.
    """
    if isinstance(module, Recurrent):
        kind: Any = type(module)
    else:
        kind = next(
            twin_kind
            for twin_kind, torch_kinds in (
                (LSTM, (nn.LSTM, nn.LSTMCell)),
                (GRU, (nn.GRU, nn.GRUCell)),
                (RNN, (nn.RNN, nn.RNNCell)),
            )
            if isinstance(module, torch_kinds)
        )
    twin = kind.__new__(kind)
    settings = {**vars(module), "_parameters": {}, **weights}
    settings.pop("forward", None)
    if isinstance(module, CELLS):
        settings |= {"num_layers": 1, "batch_first": False, "dropout": 0.0, "bidirectional": False, "proj_size": 0}
    twin.__dict__ = settings
    return twin


def _check_sizes(call: Call, subclass: str) -> None:
    """Refuse results of a subclass that do not have the shapes of its base class."""
    module, (steps, rows, _) = call.module, call.batch.inputs.shape
    directions = module.num_layers * (2 if module.bidirectional else 1)
    width = (module.proj_size or module.hidden_size) * (2 if module.bidirectional else 1)
    expected = {name: (directions, rows, module._size_of(name)) for name in module.initial}
    states = [call.final, *([] if call.state is None else [call.state])]
    fits = all(tuple(value.shape) == expected[name] for named in states for name, value in named.items())
    if tuple(call.outputs.shape) != (steps, rows, width) or not fits:
        raise _UnrecordableError("WATCH_RESULTS_DIFFER", kind=subclass or type(module).__name__)


def _copied(values: Any) -> Any:
    if isinstance(values, PackedSequence):
        return PackedSequence(_copied(values.data), *values[1:])
    return values.detach().as_subclass(Tensor).clone()


def _named_states(names: Sequence[str], states: Any, single: bool) -> dict[str, Tensor]:
    """Return copies of the states by name, (layers · directions, B, N or P) each."""
    values = states if isinstance(states, tuple | list) else (states,)
    if len(values) != len(names):
        raise _UnrecordableError("WATCH_STATES_DIFFER", expected=len(names), names=", ".join(names), count=len(values))
    return {name: _copied(value.unsqueeze(1) if single else value) for name, value in zip(names, values, strict=True)}


def _are_same(args: tuple[Any, ...], kwargs: dict[str, Any], returned: Any) -> bool:
    """Return whether the initial states of a call are the very objects that the previous call returned."""
    initial = _tensors(args[1] if len(args) > 1 else kwargs.get("hx"))
    previous = _tensors(returned)
    return len(initial) == len(previous) and all(a is b for a, b in zip(initial, previous, strict=True))


def _are_equal(value: Tensor, copy: Tensor) -> bool:
    return (
        value.shape == copy.shape
        and value.dtype == copy.dtype
        and value.device == copy.device
        and torch.equal(value, copy)
    )
