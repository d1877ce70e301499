"""The native engine: the built-in cells in C++, generated from their tapes and run by one time loop.

This module is the interface to the C++ code in native/: it checks the arguments, allocates the results, and makes a run
one node of autograd's graph.

`T` steps, `B` sequences, `I` inputs, `N` neurons, `G` input drives, `R` recurrent drives, `P` parameters.
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function, forward_ad

from gatescope.cells import Cell
from gatescope.engine.engine_errors import DerivativeError
from gatescope.engine.interventions import Intervention, scales_and_shifts
from gatescope.engine.parameters import Parameters
from gatescope.equations import drive_order, reverse
from gatescope.messages import Message

if TYPE_CHECKING:
    from gatescope.engine import _native

try:
    import gatescope.engine._native as _native  # noqa: PLR0402 - the other form reports a circular import on failure
except ModuleNotFoundError:
    _native, _problem = None, str(Message("ENGINE_NOT_COMPILED"))
except ImportError as error:  # compiled for another Python or processor
    _native, _problem = None, str(Message("ENGINE_NOT_LOADED", error=error))
else:
    _problem = ""


def _share_openmp() -> None:
    """Let the engine run on PyTorch's threads if these are OpenMP threads; otherwise it has its own."""
    assert _native is not None
    names = ["libgomp.so.1", "libomp.so.5", "libiomp5.so"]
    for name in (*sorted(Path(torch.__file__).parent.glob("lib/lib*omp*.so*")), *names):
        try:
            library = ctypes.CDLL(str(name), mode=os.RTLD_NOLOAD | os.RTLD_NOW)  # only libraries already loaded
            functions = [library[symbol] for symbol in ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")]
        except (OSError, AttributeError):
            continue
        _native.share_openmp(*(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions))
        return


if _native is not None and sys.platform == "linux":
    _share_openmp()

POOLED_BYTES = 1 << 17  # larger arrays come from the engine's own pool: malloc would map fresh pages every time
PRECISIONS = (torch.float32, torch.float64)


def available() -> bool:
    """Return whether the native engine was compiled and can be loaded; if not, warn once, with the way to build it."""
    if _native is None:
        _warn_of_missing()
    return _native is not None


@cache
def _warn_of_missing() -> None:
    warnings.warn(describe().missing, RuntimeWarning, stacklevel=2)


@dataclass(frozen=True)
class Description:
    """The native engine on this machine.

    Attributes:
        missing: why the engine is not available and how to build it; empty if it is available.
        level: the instruction set that it uses; empty if it is not available.
        levels: the instruction sets that it was compiled for and this processor has, the fastest last.
        threads: the most threads of one run; `torch.set_num_threads` changes it.
    """

    missing: str
    level: str
    levels: tuple[str, ...]
    threads: int


def describe() -> Description:
    """Return a description of this engine on this machine, without running it and without warnings."""
    threads = torch.get_num_threads()
    if _native is not None:
        return Description("", _native.level(), tuple(_native.levels()), threads)
    return Description(str(Message("ENGINE_NATIVE_MISSING", reason=_problem)), "", (), threads)


def release_memory() -> int:
    """Return the memory that the engine holds for later runs to the system; return its size in bytes."""
    return 0 if _native is None else _native.release()


@dataclass(frozen=True)
class _Plan:
    """The part that all runs of a cell share.

    Attributes:
        cell: the C++ struct and the order of its weights.
        states: the names of the states, in the order of the struct.
        numbers: signal -> its number in the struct.
        residuals: the number of drives that the backward pass reads.
    """

    cell: Any
    states: tuple[str, ...]
    numbers: Mapping[str, int]
    residuals: int


_plans: dict[str, _Plan | None] = {}


def _plan(cell: Cell) -> _Plan | None:
    """Return the plan of a cell; None if no struct was generated for its equations."""
    if cell.key not in _plans:
        _plans[cell.key] = _make_plan(cell)
    return _plans[cell.key]


def _make_plan(cell: Cell) -> _Plan | None:
    if _native is None or cell.key not in set(_native.keys()):
        return None
    order = drive_order(cell.tape)
    return _Plan(
        _native.Cell(cell.key, order.input_indices(cell.tape), order.recurrent_indices(cell.tape)),
        cell.states,
        {name: k for k, name in enumerate(cell.signals)},
        len(reverse(order.tape).residuals),
    )


def unserved_cell(cell: Cell) -> str:
    """Return why this engine cannot run layers of this cell; "" if it can."""
    if _native is None:
        return _problem
    if _plan(cell) is None:
        return str(Message("ENGINE_CELL_NOT_GENERATED", cell=cell.name))
    return ""


def unserved(
    cell: Cell,
    parameters: Parameters,
    inputs: Tensor,
    state: Mapping[str, Tensor],
    changes: Sequence[Intervention],
    hidden: Tensor | None = None,
) -> str:
    """Return why this engine cannot run a layer with these arguments; "" if it can."""
    if not available() or unserved_cell(cell):
        return unserved_cell(cell)
    # Dtypes and layouts are single objects, which "is" compares faster than anything else.
    precision = parameters.biases.dtype
    tensors = [*vars(parameters).values(), *state.values()]
    if inputs.ndim == 3:
        tensors.append(inputs)
    elif not inputs.is_cpu:
        return str(Message("ENGINE_INPUTS_NOT_ON_CPU", device=inputs.device))
    if hidden is not None:
        tensors.append(hidden)
        if torch.is_grad_enabled() and any(value.requires_grad for value in tensors):
            return str(Message("ENGINE_HIDDEN_GRADIENT_UNSUPPORTED"))
    for value in tensors:
        if value.dtype is not precision or precision not in PRECISIONS:
            precisions = ", ".join(sorted({str(value.dtype).removeprefix("torch.") for value in tensors}))
            return str(Message("ENGINE_PRECISION_UNSUPPORTED", precisions=precisions))
        if not value.is_cpu:
            return str(Message("ENGINE_TENSORS_NOT_ON_CPU", device=value.device))
        if value.layout is not torch.strided or _is_wrapped(value):
            return str(Message("ENGINE_LAYOUT_UNSUPPORTED"))
    if forward_ad._current_level >= 0:
        return str(Message("ENGINE_FORWARD_MODE_UNSUPPORTED"))
    if any(isinstance(change.shift, Tensor) and change.shift.requires_grad for change in changes):
        return str(Message("ENGINE_CHANGE_GRADIENT_UNSUPPORTED"))
    return ""


_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # type: ignore[attr-defined]


class _Request(NamedTuple):
    """The arguments of a run that need no gradient."""

    plan: _Plan
    keep: tuple[int, ...]  # the numbers of the signals to return
    lengths: Tensor | None
    reverse: bool
    changes: tuple[tuple[int, Tensor, Tensor], ...]  # (signal, scale, shift), each (T or 1, B or 1, N)
    hidden: Tensor | None
    threads: int


def run_native(
    cell: Cell,
    parameters: Parameters,
    inputs: Float[Tensor, "T B I"] | Int[Tensor, "T B"],
    state: Mapping[str, Float[Tensor, "B N"]] | None,
    lengths: Int[Tensor, "B"] | None,
    reverse: bool,
    keep: Sequence[str],
    interventions: Sequence[Intervention],
    hidden: Float[Tensor, "T B N"] | None = None,
) -> tuple[dict[str, Float[Tensor, "T B N"]], dict[str, Float[Tensor, "B N"]]]:
    """Run the native engine; return the kept signals and the final state; see `gatescope.engine.run`."""
    plan = _plan(cell)
    assert plan is not None  # the caller has checked `unserved`
    changes: tuple[tuple[int, Tensor, Tensor], ...] = ()
    if interventions:
        pairs = scales_and_shifts(interventions, parameters.biases, inputs.shape[0], inputs.shape[1])
        changes = tuple((plan.numbers[name], scale, shift) for name, (scale, shift) in pairs.items())
    if lengths is not None:
        lengths = lengths.to(torch.int64).contiguous()
    numbers = tuple([plan.numbers[name] for name in keep])
    if hidden is not None and hidden.stride(2) != 1:
        hidden = hidden.contiguous()
    request = _Request(plan, numbers, lengths, reverse, changes, hidden, torch.get_num_threads())
    if inputs.ndim == 2:
        inputs = inputs.to(torch.int64)
    elif inputs.stride(2) != 1 and inputs.shape[2] > 1:
        inputs = inputs.contiguous()
    tensors = [inputs, *[value.contiguous() for value in vars(parameters).values()]]
    if state is not None:
        tensors += [state[name].contiguous() for name in plan.states]
    if torch.is_grad_enabled() and any(value.requires_grad for value in tensors):
        results: Sequence[Tensor] = _Run.apply(request, *tensors)
    else:
        results = _run_forward(request, tensors, every=False)[1]
    return dict(zip(keep, results, strict=False)), dict(zip(plan.states, results[len(keep) :], strict=True))


def empty_arrays(like: Tensor, count: int, *shape: int) -> list[Tensor]:
    """Return `count` uninitialised three-dimensional arrays; large ones come from the engine's own pool."""
    size = like.element_size()
    for length in shape:
        size *= length
    if size < POOLED_BYTES or _native is None:
        return [like.new_empty(shape) for _ in range(count)]
    allocate = _native.buffer_float if like.dtype is torch.float32 else _native.buffer_double
    return [allocate(*shape) for _ in range(count)]


def _addresses(tensors: Sequence[Tensor | None]) -> list[int]:
    return [0 if value is None else value.data_ptr() for value in tensors]


Strided = tuple[int, int, int]  # address, stride of a step, stride of a row


def _strided(value: Tensor) -> Strided:
    return value.data_ptr(), value.stride(0), value.stride(1)


NO_ARRAY: Strided = (0, 0, 0)


def _arguments(request: _Request, tensors: Sequence[Tensor], stored: Sequence[Tensor], numbers: Sequence[int]) -> Any:
    """Return the arguments that the forward and the backward pass have in common.

    Args:
        request: the run.
        tensors: inputs, the four arrays of weights, initial states.
        stored: the stored signals; for a backward pass then the residuals and the values before interventions.
        numbers: the numbers of the stored signals.
    """
    x, input_weights = tensors[0], tensors[1]
    plan = request.plan
    sizes = (x.shape[0], x.shape[1], input_weights.shape[2], input_weights.shape[1])
    addresses = [value.data_ptr() for value in stored]
    signals = [0] * len(plan.numbers)
    for k, address in zip(numbers, addresses, strict=False):
        signals[k] = address
    rest = addresses[len(numbers) :]
    changes = []
    for k, (signal, scale, shift) in enumerate(request.changes):
        step, row = (scale.stride(axis) if scale.shape[axis] > 1 else 0 for axis in (0, 1))
        before = rest[plan.residuals + k] if rest else 0
        changes.append((signal, scale.data_ptr(), shift.data_ptr(), before, step, row))
    return (
        plan.cell,
        sizes,
        request.reverse,
        request.threads,
        _strided(x) if x.ndim == 3 else NO_ARRAY,
        NO_ARRAY if x.ndim == 3 else _strided(x),
        0 if request.lengths is None else request.lengths.data_ptr(),
        [value.data_ptr() for value in tensors[1:5]],
        [value.data_ptr() for value in tensors[5:]],
        signals,
        rest[: plan.residuals],
        changes,
    )


def _run_forward(request: _Request, tensors: Sequence[Tensor], every: bool) -> tuple[Sequence[Tensor], list[Tensor]]:
    """Run the forward pass.

    Args:
        request: the run.
        tensors: inputs, the four arrays of weights, initial states.
        every: whether to store every signal and everything else that a backward pass reads, instead of the signals to
            return.

    Returns:
        The stored arrays, in the order that `_arguments` expects, and the results.
    """
    assert _native is not None
    plan, biases = request.plan, tensors[2]
    steps, rows, neurons = tensors[0].shape[0], tensors[0].shape[1], biases.shape[1]
    numbers = range(len(plan.numbers)) if every else request.keep
    extra = plan.residuals + len(request.changes) if every else 0
    stored = empty_arrays(biases, len(numbers) + extra, steps, rows, neurons)
    final = [biases.new_empty(rows, neurons) for _ in plan.states]
    forward = _native.forward_float if biases.dtype is torch.float32 else _native.forward_double
    forward(
        *_arguments(request, tensors, stored, numbers),
        [value.data_ptr() for value in final],
        NO_ARRAY if request.hidden is None else _strided(request.hidden),
    )
    return stored, [*([stored[k] for k in request.keep] if every else stored), *final]


class _Run(Function):
    """A run, as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, request: _Request, *tensors: Tensor) -> tuple[Tensor, ...]:
        stored, results = _run_forward(request, tensors, every=True)
        ctx.request = request
        ctx.tensor_count = len(tensors)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *stored)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise DerivativeError("ENGINE_SECOND_DERIVATIVE")
        assert _native is not None
        request, saved = ctx.request, ctx.saved_tensors
        tensors, stored = saved[: ctx.tensor_count], saved[ctx.tensor_count :]
        x, *learned = tensors
        needs_gradient = ctx.needs_input_grad[1:]
        d_x = empty_arrays(learned[1], 1, *x.shape)[0] if needs_gradient[0] else None
        d_learned = [torch.empty_like(value) if needs_gradient[1 + k] else None for k, value in enumerate(learned)]
        d_signals = [NO_ARRAY] * len(request.plan.numbers)
        contiguous = list(gradients)  # copies must stay alive until the loop has run
        for k, number in enumerate(request.keep):
            gradient = gradients[k]
            if gradient is None:
                continue
            if gradient.stride(2) != 1 and gradient.shape[2] > 1:
                contiguous[k] = gradient = gradient.contiguous()
            d_signals[number] = _strided(gradient)
        d_final = [None if value is None else value.contiguous() for value in gradients[len(request.keep) :]]
        backward = _native.backward_float if learned[1].dtype is torch.float32 else _native.backward_double
        backward(
            *_arguments(request, tensors, stored, range(len(request.plan.numbers))),
            d_signals,
            _addresses(d_final),
            0 if d_x is None else d_x.data_ptr(),
            _addresses(d_learned[4:]),
            _addresses(d_learned[:4]),
        )
        return None, d_x, *d_learned
