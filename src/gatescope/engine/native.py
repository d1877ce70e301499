"""The native engine: C++ forward and backward, emitted from each built-in cell's tape, run by one time loop.

This module is the border: it checks what comes from Python, takes memory for what goes back, and makes the run one node
of autograd's graph. The loop itself is in the folder native/ of the sources.

`T` step, `B` sequence, `I` input, `N` neuron, `G` and `R` drive, `P` parameter.
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
from gatescope.engine.interventions import Intervention, scales_and_shifts
from gatescope.engine.parameters import Parameters
from gatescope.equations import join_drives, reverse

if TYPE_CHECKING:
    from gatescope.engine import _native

try:
    import gatescope.engine._native as _native  # noqa: PLR0402 (the other form blames a circle of imports when it fails)
except ModuleNotFoundError:
    _native, _problem = None, "it was not compiled"
except ImportError as error:  # for another Python or processor
    _native, _problem = None, str(error)
else:
    _problem = ""


def _share_openmp() -> None:
    """Let the engine run on PyTorch's own threads, where they are OpenMP's; otherwise it has its own."""
    assert _native is not None
    names = ["libgomp.so.1", "libomp.so.5", "libiomp5.so"]
    for name in (*sorted(Path(torch.__file__).parent.glob("lib/lib*omp*.so*")), *names):
        try:
            library = ctypes.CDLL(str(name), mode=os.RTLD_NOLOAD | os.RTLD_NOW)  # only what is loaded already
            found = [library[symbol] for symbol in ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")]
        except (OSError, AttributeError):
            continue
        _native.share_openmp(*(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in found))
        return


if _native is not None and sys.platform == "linux":
    _share_openmp()

POOLED = 1 << 17  # bytes from which an array comes from the own pool, as malloc would give every time fresh pages
PRECISIONS = (torch.float32, torch.float64)


def available() -> bool:
    """Whether the native engine was compiled and can be loaded here; if not, one warning says how to build it."""
    if _native is None:
        _warn_of_missing()
    return _native is not None


@cache
def _warn_of_missing() -> None:
    """Say once that the native engine is not there, and how to build it."""
    warnings.warn(describe().missing, RuntimeWarning, stacklevel=2)


@dataclass(frozen=True)
class Description:
    """What there is of the native engine on this machine.

    Attributes:
        missing: why it is not there, and how to build it; empty when it is there.
        level: the instruction set that it uses; empty when it is not there.
        levels: those that it was compiled for and this processor has, the fastest last.
        threads: the most that one run uses; `torch.set_num_threads` changes it.
    """

    missing: str
    level: str
    levels: tuple[str, ...]
    threads: int


def describe() -> Description:
    """What there is of this engine here; runs nothing and warns of nothing."""
    threads = torch.get_num_threads()
    if _native is not None:
        return Description("", _native.level(), tuple(_native.levels()), threads)
    missing = (
        f"the native engine is not there ({_problem}): the plain engine gives the same results, only slower; to build "
        "it, install a C++17 compiler (GCC or Clang) and then gatescope again, in a clone with scripts/install."
    )
    return Description(missing, "", (), threads)


def release_memory() -> int:
    """Give the memory that the engine keeps for later runs back to the system; returns how many bytes that were."""
    return 0 if _native is None else _native.release()


@dataclass(frozen=True)
class _Plan:
    """The part that all runs of a cell share: its struct, and its states and residuals by number."""

    cell: Any
    states: tuple[str, ...]
    numbers: Mapping[str, int]  # of the signals, by name
    residuals: int


_plans: dict[str, _Plan | None] = {}


def _plan(cell: Cell) -> _Plan | None:
    """The plan of a cell; None when no struct was generated for its equations."""
    if cell.key not in _plans:
        _plans[cell.key] = _make_plan(cell)
    return _plans[cell.key]


def _make_plan(cell: Cell) -> _Plan | None:
    if _native is None or cell.key not in set(_native.keys()):
        return None
    tape, joined = join_drives(cell.tape)
    heard, echoed = cell.tape.input_drives, cell.tape.recurrent_drives
    # The struct numbers its drives so: those of the input alone, the joined, those of the hidden state alone.
    order = [k for k in heard if k not in joined], list(joined), [k for k in echoed if k not in joined]
    input_order = [heard.index(k) for k in (*order[0], *order[1])] + [-1] * len(order[2])
    recurrent_order = [-1] * len(order[0]) + [echoed.index(k) for k in (*order[1], *order[2])]
    return _Plan(
        _native.Cell(cell.key, input_order, recurrent_order),
        cell.states,
        {name: k for k, name in enumerate(cell.signals)},
        len(reverse(tape).residuals),
    )


def unserved_cell(cell: Cell) -> str:
    """Why this engine can run no layer of a cell; empty when it can."""
    if _native is None:
        return _problem
    if _plan(cell) is None:
        return f"no C++ was generated for the equations of {cell.name}"
    return ""


def unserved(
    cell: Cell,
    parameters: Parameters,
    inputs: Tensor,
    state: Mapping[str, Tensor],
    changes: Sequence[Intervention],
    hidden: Tensor | None = None,
) -> str:
    """Why this engine cannot serve a request; empty when it can."""
    if not available() or unserved_cell(cell):
        return unserved_cell(cell)
    # Dtypes and layouts are single objects, which "is" compares faster than anything else.
    precision = parameters.biases.dtype
    tensors = [*vars(parameters).values(), *state.values()]
    if inputs.ndim == 3:
        tensors.append(inputs)
    elif not inputs.is_cpu:
        return f"it runs on the processor, and was given inputs on {inputs.device}"
    if hidden is not None:
        tensors.append(hidden)
        if torch.is_grad_enabled() and any(value.requires_grad for value in tensors):
            return "it gives no gradients where hidden states are known"
    for value in tensors:
        if value.dtype is not precision or precision not in PRECISIONS:
            found = ", ".join(sorted({str(value.dtype).removeprefix("torch.") for value in tensors}))
            return f"it computes in float32 or in float64, all of one, and was given {found}"
        if not value.is_cpu:
            return f"it runs on the processor, and was given tensors on {value.device}"
        if value.layout is not torch.strided or _is_wrapped(value):
            return "it takes plain dense tensors, not those of torch.func or of another layout"
    if forward_ad._current_level >= 0:
        return "it has no forward-mode derivatives"
    if any(isinstance(one.shift, Tensor) and one.shift.requires_grad for one in changes):
        return "it gives no gradients to the values of an intervention"
    return ""


_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # type: ignore[attr-defined]


class _Request(NamedTuple):
    """Everything of a run that needs no gradient."""

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
    assert plan is not None  # the caller has asked `unserved`
    changes: tuple[tuple[int, Tensor, Tensor], ...] = ()
    if interventions:
        found = scales_and_shifts(interventions, parameters.biases, inputs.shape[0], inputs.shape[1])
        changes = tuple((plan.numbers[name], scale, shift) for name, (scale, shift) in found.items())
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
        results = _forward(request, tensors, every=False)[1]
    return dict(zip(keep, results, strict=False)), dict(zip(plan.states, results[len(keep) :], strict=True))


def _empty(like: Tensor, count: int, *shape: int) -> list[Tensor]:
    """As many three-dimensional arrays of undefined numbers; large ones come from the engine's own pool."""
    size = like.element_size()
    for length in shape:
        size *= length
    if size < POOLED or _native is None:
        return [like.new_empty(shape) for _ in range(count)]
    make = _native.buffer_float if like.dtype is torch.float32 else _native.buffer_double
    return [make(*shape) for _ in range(count)]


def _addresses(tensors: Sequence[Tensor | None]) -> list[int]:
    return [0 if value is None else value.data_ptr() for value in tensors]


Strided = tuple[int, int, int]  # an address, the strides of a step and of a row


def _strided(value: Tensor) -> Strided:
    return value.data_ptr(), value.stride(0), value.stride(1)


NOTHING: Strided = (0, 0, 0)


def _arguments(request: _Request, tensors: Sequence[Tensor], kept: Sequence[Tensor], places: Sequence[int]) -> Any:
    """What the forward and the backward pass of the loop are both told.

    Args:
        request: the run.
        tensors: inputs, the four arrays of weights, initial states.
        kept: the signals that are kept, and for the backward pass also the residuals and what interventions replaced.
        places: the numbers of those signals.
    """
    x, input_weights = tensors[0], tensors[1]
    plan = request.plan
    sizes = (x.shape[0], x.shape[1], input_weights.shape[2], input_weights.shape[1])
    addresses = [value.data_ptr() for value in kept]
    signals = [0] * len(plan.numbers)
    for k, address in zip(places, addresses, strict=False):
        signals[k] = address
    rest = addresses[len(places) :]
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
        _strided(x) if x.ndim == 3 else NOTHING,
        NOTHING if x.ndim == 3 else _strided(x),
        0 if request.lengths is None else request.lengths.data_ptr(),
        [value.data_ptr() for value in tensors[1:5]],
        [value.data_ptr() for value in tensors[5:]],
        signals,
        rest[: plan.residuals],
        changes,
    )


def _forward(request: _Request, tensors: Sequence[Tensor], every: bool) -> tuple[Sequence[Tensor], list[Tensor]]:
    """Run the loop. Returns what was kept, as `_arguments` wants it, and the results.

    Kept are the signals to return; of `every` signal, and what else the backward pass reads, when that is to follow.
    """
    assert _native is not None
    plan, biases = request.plan, tensors[2]
    steps, rows, neurons = tensors[0].shape[0], tensors[0].shape[1], biases.shape[1]
    places = range(len(plan.numbers)) if every else request.keep
    more = plan.residuals + len(request.changes) if every else 0
    kept = _empty(biases, len(places) + more, steps, rows, neurons)
    final = [biases.new_empty(rows, neurons) for _ in plan.states]
    forward = _native.forward_float if biases.dtype is torch.float32 else _native.forward_double
    forward(
        *_arguments(request, tensors, kept, places),
        [value.data_ptr() for value in final],
        NOTHING if request.hidden is None else _strided(request.hidden),
    )
    return kept, [*([kept[k] for k in request.keep] if every else kept), *final]


class _Run(Function):
    """A run as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, request: _Request, *tensors: Tensor) -> tuple[Tensor, ...]:
        kept, results = _forward(request, tensors, every=True)
        ctx.request = request
        ctx.given = len(tensors)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *kept)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the native engine computes first derivatives only, and these were asked for with a graph of their own "
                '(create_graph=True). For second derivatives run the network with engine="plain".'
            )
        assert _native is not None
        request, saved = ctx.request, ctx.saved_tensors
        tensors, kept = saved[: ctx.given], saved[ctx.given :]
        x, *learned = tensors
        wanted = ctx.needs_input_grad
        d_x = _empty(learned[1], 1, *x.shape)[0] if wanted[1] else None
        d_learned = [torch.empty_like(value) if wanted[2 + k] else None for k, value in enumerate(learned)]
        d_signals = [NOTHING] * len(request.plan.numbers)
        asked = list(gradients)  # copies stay alive until the loop has run
        for k, place in enumerate(request.keep):
            gradient = gradients[k]
            if gradient is None:
                continue
            if gradient.stride(2) != 1 and gradient.shape[2] > 1:
                asked[k] = gradient = gradient.contiguous()
            d_signals[place] = _strided(gradient)
        d_final = [None if value is None else value.contiguous() for value in gradients[len(request.keep) :]]
        backward = _native.backward_float if learned[1].dtype is torch.float32 else _native.backward_double
        backward(
            *_arguments(request, tensors, kept, range(len(request.plan.numbers))),
            d_signals,
            _addresses(d_final),
            0 if d_x is None else d_x.data_ptr(),
            _addresses(d_learned[4:]),
            _addresses(d_learned[:4]),
        )
        return None, d_x, *d_learned
