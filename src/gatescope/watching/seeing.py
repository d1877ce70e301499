"""Seeing the calls of recurrent modules, whichever way a program makes them.

A forward hook misses `module.forward(x)`, sees of a subclass only what its own `forward` takes and gives, and lives in
the module, where `deepcopy`, `pickle` and `torch.jit.script` meet it. So the `forward` functions of the classes are
exchanged while something is watched. A module that is not watched, and every compiler and tracer, gets torch's own.
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
"""The classes whose `forward` is computed by the equations."""


class Observer(Protocol):
    """Is told of the calls of one module."""

    @property
    def calls(self) -> int:
        """How many calls it was told of."""
        ...

    def see(self, module: Any, given: tuple[Any, ...], named: dict[str, Any], result: Any, base: bool) -> None:
        """Keep a call; it raises nothing.

        Args:
            module: the module that was called.
            given: the positional arguments.
            named: the keyword arguments.
            result: what the call returned.
            base: whether it is a call of one of `BASES`, not of the own `forward` of a subclass.
        """
        ...


_observers: dict[int, list[Observer]] = {}  # by the id of a module, which its watch keeps alive
_exchanged: dict[
    type, tuple[Any, Any, int]
] = {}  # class -> its own forward, the one in its place, for how many watches
_lock = threading.Lock()


@contextmanager
def observed(observers: Sequence[tuple[nn.Module, Observer]]) -> Iterator[None]:
    """Tell observers of the calls of their modules inside the block."""
    classes = {owner for module, _ in observers if (owner := _owner(type(module))) is not None} | set(BASES)
    forwards = [forward for module, _ in observers if (forward := _OwnForward.of(module)) is not None]
    with _lock:
        for kind in classes:
            _exchange(kind)
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
                _give_back(kind)
        for forward in reversed(forwards):
            forward.give_back()


def _owner(kind: type) -> type | None:
    """The class whose `forward` runs when a module of a class is called."""
    return next((base for base in kind.__mro__ if "forward" in vars(base)), None)


def _exchange(kind: type) -> None:
    own, mine, count = _exchanged.get(kind, (None, None, 0))
    if not count:
        own = vars(kind)["forward"]
        if not isinstance(own, types.FunctionType):
            return
        mine = _seeing(own, kind in BASES)
        type.__setattr__(kind, "forward", mine)
    _exchanged[kind] = own, mine, count + 1


def _give_back(kind: type) -> None:
    if kind not in _exchanged:
        return
    own, mine, count = _exchanged.pop(kind)
    if count > 1:
        _exchanged[kind] = own, mine, count - 1
    elif vars(kind).get("forward") is mine:  # otherwise someone else has put theirs over it; it passes calls on
        type.__setattr__(kind, "forward", own)


def _seeing(own: Any, base: bool) -> Any:
    """Return a function that calls a `forward` and tells the observers of the module."""
    is_compiling, observe = torch.compiler.is_compiling, _observe
    return _like(
        lambda self, *given, **named: (
            own(self, *given, **named) if is_compiling() else observe(own, self, given, named, base)
        ),
        own,
    )


def _like(function: Any, own: Any) -> Any:
    """Return a function with the globals of another, so that torch.jit.script reads and resolves the other's source."""
    made = types.FunctionType(function.__code__, own.__globals__, own.__name__, None, function.__closure__)
    _skip(made)
    return functools.update_wrapper(made, own)


def _observe(own: Forward, module: Any, given: tuple[Any, ...], named: dict[str, Any], base: bool) -> Any:
    observers = tuple(_observers.get(id(module), ()))
    if not observers or _recomputing():
        return own(module, *given, **named)
    before = [observer.calls for observer in observers]
    result = own(module, *given, **named)
    for observer, calls in zip(observers, before, strict=True):
        if observer.calls == calls:  # otherwise a class below has told it of this call
            see: Any = observer.see
            if "torch._dynamo" in sys.modules:
                see = torch.compiler.disable(see)
            see(module, given, named, result, base)
    return result


def _recomputing() -> bool:
    """Whether autograd runs a module once more, as torch.utils.checkpoint does in the backward pass."""
    current: Any = getattr(torch._C, "_current_graph_task_id", None)
    return current is not None and current() != -1


def _skip(function: Any) -> None:
    """Keep torch.compile from compiling a function that it meets where it has given up a graph."""
    compiler = getattr(torch._C, "_dynamo", None)
    skip: Any = getattr(getattr(compiler, "eval_frame", None), "skip_code", None)
    if skip is not None:
        skip(function.__code__)


_skip(_observe)


class _OwnForward:
    """The `forward` that a program has put into one module, as accelerate does; the class's is not looked up there."""

    def __init__(self, module: nn.Module, own: Forward) -> None:
        self.module, self.own = module, own

    @classmethod
    def of(cls, module: nn.Module) -> _OwnForward | None:
        """Take the place of a module's own `forward`; None where it has none."""
        own = vars(module).get("forward")
        if own is None:
            return None
        found = cls(module, own)
        module.__dict__["forward"] = found
        return found

    def __call__(self, *given: Any, **named: Any) -> Any:
        if torch.compiler.is_compiling():
            return self.own(*given, **named)
        return _observe(lambda _, *g, **n: self.own(*g, **n), self.module, given, named, False)

    def __getattr__(self, name: str) -> Any:
        if name in ("module", "own"):  # not there yet
            raise AttributeError(name)
        return getattr(self.own, name)

    def __reduce__(self) -> Any:
        return _same, (self.own,)  # a copy of the module is not watched

    def give_back(self) -> None:
        """Put the module's own `forward` back."""
        if vars(self.module).get("forward") is self:
            self.module.__dict__["forward"] = self.own


def _same(forward: Forward) -> Forward:
    return forward
