"""Observing the calls of recurrent modules, however a program makes them.

A forward hook would miss `module.forward(x)`, would get only the arguments and results of a subclass's own `forward`,
and would be stored in the module, where `deepcopy`, `pickle` and `torch.jit.script` find it. Instead, the `forward`
functions of the classes are replaced while a module is watched. Modules that are not watched, compilers and tracers use
torch's own functions.
"""

from __future__ import annotations

import functools
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

from gatescope.nn.stack import Stack

Forward = Callable[..., Any]

BASES: tuple[type, ...] = (nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell, Stack)
"""The classes whose `forward` computes the equations."""


class Observer(Protocol):
    """A receiver of the calls of one module."""

    @property
    def call_count(self) -> int:
        """The number of calls that it received."""
        ...

    def record_call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, base: bool) -> None:
        """Receive a call, without raising an error.

        Args:
            module: the module that was called.
            args: the positional arguments.
            kwargs: the keyword arguments.
            result: the result of the call.
            base: whether the `forward` of one of `BASES` was called, not the own one of a subclass.
        """
        ...


_observers: dict[int, list[Observer]] = {}  # id of a module, which its watch keeps alive -> its observers
_replaced: dict[type, tuple[Any, Any, int]] = {}  # class -> its original forward, the replacement, number of watches
_lock = threading.Lock()


@contextmanager
def observed(observers: Sequence[tuple[nn.Module, Observer]]) -> Iterator[None]:
    """Send the calls of modules to their observers inside the block.

    Args:
        observers: pairs of a module and its observer.
    """
    classes = {owner for module, _ in observers if (owner := _owner(type(module))) is not None} | set(BASES)
    forwards = [forward for module, _ in observers if (forward := _InstanceForward.replace(module)) is not None]
    with _lock:
        for kind in classes:
            _replace(kind)
        for module, observer in observers:
            _observers.setdefault(id(module), []).append(observer)
    try:
        yield
    finally:
        with _lock:
            for module, observer in observers:
                _observers[id(module)].remove(observer)
                if not _observers[id(module)]:
                    del _observers[id(module)]
            for kind in classes:
                _restore(kind)
        for forward in reversed(forwards):
            forward.restore()


def _owner(kind: type) -> type | None:
    """Return the class whose `forward` runs when a module of this class is called."""
    return next((base for base in kind.__mro__ if "forward" in vars(base)), None)


def _replace(kind: type) -> None:
    original, replacement, count = _replaced.get(kind, (None, None, 0))
    if not count:
        original = vars(kind)["forward"]
        if not isinstance(original, types.FunctionType):
            return
        replacement = _observing(original, kind in BASES)
        type.__setattr__(kind, "forward", replacement)
    _replaced[kind] = original, replacement, count + 1


def _restore(kind: type) -> None:
    if kind not in _replaced:
        return
    original, replacement, count = _replaced.pop(kind)
    if count > 1:
        _replaced[kind] = original, replacement, count - 1
    elif vars(kind).get("forward") is replacement:  # otherwise another library has wrapped it, and must keep working
        type.__setattr__(kind, "forward", original)


def _observing(original: Any, base: bool) -> Any:
    """Return a function that calls a `forward` and sends the call to the observers of the module."""
    is_compiling, observe = torch.compiler.is_compiling, _observe
    return _with_globals_of(
        lambda self, *args, **kwargs: (
            original(self, *args, **kwargs) if is_compiling() else observe(original, self, args, kwargs, base)
        ),
        original,
    )


def _with_globals_of(function: Any, original: Any) -> Any:
    """Return a function with the globals of the original, so that torch.jit.script compiles the original's source."""
    copy = types.FunctionType(function.__code__, original.__globals__, original.__name__, None, function.__closure__)
    _exclude_from_compilation(copy)
    return functools.update_wrapper(copy, original)


def _observe(original: Forward, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], base: bool) -> Any:
    observers = tuple(_observers.get(id(module), ()))
    if not observers or _is_recomputing():
        return original(module, *args, **kwargs)
    counts = [observer.call_count for observer in observers]
    result = original(module, *args, **kwargs)
    for observer, count in zip(observers, counts, strict=True):
        if observer.call_count == count:  # otherwise the forward of a base class has sent this call already
            record_call: Any = observer.record_call
            if "torch._dynamo" in sys.modules:
                record_call = torch.compiler.disable(record_call)
            record_call(module, args, kwargs, result, base)
    return result


def _is_recomputing() -> bool:
    """Return whether autograd runs a module again, as torch.utils.checkpoint does in the backward pass."""
    current: Any = getattr(torch._C, "_current_graph_task_id", None)
    return current is not None and current() != -1


def _exclude_from_compilation(function: Any) -> None:
    """Keep torch.compile from compiling a function that it calls between two graphs."""
    compiler = getattr(torch._C, "_dynamo", None)
    skip: Any = getattr(getattr(compiler, "eval_frame", None), "skip_code", None)
    if skip is not None:
        skip(function.__code__)


_exclude_from_compilation(_observe)


class _InstanceForward:
    """The replacement of a `forward` that was set on one instance, as accelerate does, which hides the class's."""

    def __init__(self, module: nn.Module, original: Forward) -> None:
        self.module, self.original = module, original

    @classmethod
    def replace(cls, module: nn.Module) -> _InstanceForward | None:
        """Replace the `forward` of an instance and return the replacement; None if the instance has none."""
        original = vars(module).get("forward")
        if original is None:
            return None
        replacement = cls(module, original)
        module.__dict__["forward"] = replacement
        return replacement

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return self.original(*args, **kwargs)
        return _observe(lambda _, *a, **k: self.original(*a, **k), self.module, args, kwargs, False)

    def __getattr__(self, name: str) -> Any:
        if name in ("module", "original"):  # not set yet, while copying
            raise AttributeError(name)
        return getattr(self.original, name)

    def __reduce__(self) -> Any:
        return _identity, (self.original,)  # a copy of the module is not watched

    def restore(self) -> None:
        """Restore the original `forward` of the instance."""
        if vars(self.module).get("forward") is self:
            self.module.__dict__["forward"] = self.original


def _identity(forward: Forward) -> Forward:
    return forward
