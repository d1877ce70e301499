"""The recurrent modules of torch inside any model, recorded while the model runs on its owner's own inputs.

A forward hook keeps what a module was given and what it gave; nothing of the model changes, and its outputs are the
same bit for bit. The gates, which torch computes and throws away, are computed when they are asked for, by the engine,
from the same inputs, states and weights. What the module itself gave, the hidden states of its last layer, goes into
the trace as it was, and every step reads the one before of these: no step has to wait for another, and no difference in
the last digit grows from step to step. The self-check of the trace says whether the module did what the equations say.

`T` step, `B` sequence, `I` input, `N` neuron.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gatescope.errors import GatescopeError
from gatescope.nn import GRU, LSTM, RNN
from gatescope.nn.packing import Batch, batch_of
from gatescope.nn.traces import Meaning, Ran, trace_of
from gatescope.text import Vocabulary
from gatescope.trace import Trace


class WatchError(GatescopeError):
    """A module was not called, or cannot be recorded in the way in which it was called; the message says why."""


@dataclass(frozen=True)
class Call:
    """One call of a module: what it was given and what it gave, as copies.

    Attributes:
        module: one of gatescope.nn with the weights that the module had.
        batch: the inputs.
        state: the states before the first step, (layers · directions, B, N or P); None for 0.
        outputs: the hidden states (or their projections) of the last layer, behind the ends of sequences 0.
        final: the states after the last step.
        problem: why it cannot be recorded; "" where it can.
    """

    module: Any
    batch: Batch
    state: Mapping[str, Tensor] | None
    outputs: Float[Tensor, "T B _"]
    final: Mapping[str, Tensor]
    problem: str = ""

    def signals(self) -> dict[str, Mapping[str, Float[Tensor, "T B N"]]]:
        """Of "layer0", "layer0_reverse", ...: name -> the signals at every step, behind the ends of sequences 0.

        Raises:
            WatchError: the module cannot be recorded in the way in which it was called.
        """
        if self.problem:
            raise WatchError(self.problem)
        seen: list[Ran] = []
        cell, own = self.module.cell, self._own()
        keep = [name for name in cell.signals if own is None or name != "h"]
        with torch.no_grad():
            self.module._run(self.batch, self.state, keep, ((), ()), False, seen.append, own)
        return {ran.name: {name: ran.signals[name] for name in cell.signals} for ran in seen}

    def trace(
        self,
        *,
        drives: bool = True,
        text: str | Sequence[str] | None = None,
        vocabulary: Vocabulary | None = None,
        inputs: bool = False,
    ) -> Trace:
        """Every signal of every neuron at every step, checked with the weights.

        What the module read are vectors, so without a text the tokens are -1. The attribute "difference" is the largest
        difference between what the module gave and what the engine computed for it.

        Args:
            drives: whether the trace keeps the drives, without which it cannot be checked again as a whole.
            text: what the vectors stand for: one text for each sequence, one symbol for each step.
            vocabulary: of the text; that of its characters when not given. Without a text and with `inputs`, the names
                of the inputs.
            inputs: whether the trace keeps the vectors.

        Raises:
            WatchError: the module cannot be recorded in the way in which it was called.
            TraceError: it computes in a precision that traces do not have, or the text does not fit the sequences.
        """
        cell = self.module.cell
        ran, off = self._ran((*cell.signals, *cell.drives))
        difference = max(_furthest(computed, own) for computed, own in off)
        meaning = Meaning(text, vocabulary, inputs)
        trace = trace_of(cell, ran, self.batch.inputs, self.batch.lengths, drives, meaning)
        return replace(trace, attributes={**trace.attributes, "difference": difference})

    def _ran(self, keep: Sequence[str]) -> tuple[list[Ran], list[tuple[Tensor, Tensor]]]:
        """The run of each direction of each layer, and pairs of what was computed and what the module gave."""
        if self.problem:
            raise WatchError(self.problem)
        seen: list[Ran] = []
        own = self._own()
        with torch.no_grad():
            outputs, finals = self.module._run(self.batch, self.state, keep, ((), ()), False, seen.append, own)
        if own is not None:  # what the equations make of the step before
            outputs = torch.cat([ran.signals["h"] for ran in seen[-self._directions :]], 2)
        states = [(value, self.final[name]) for name, value in zip(self.module.initial, finals, strict=True)]
        return self._with_own(seen), [(outputs, self.outputs), *states]

    @property
    def _directions(self) -> int:
        return 2 if self.module.bidirectional else 1

    def _own(self) -> Tensor | None:
        """The hidden states of the last layer as the module gave them; None where it gave their projections."""
        return None if self.module.proj_size else self.outputs

    def _with_own(self, seen: list[Ran]) -> list[Ran]:
        """The runs, with the module's own hidden states in those of the last layer."""
        own = self._own()
        if own is None:
            return seen
        first = len(seen) - self._directions
        values = own.split(self.module.hidden_size, 2)
        return seen[:first] + [
            replace(ran, signals={**ran.signals, "h": h}) for ran, h in zip(seen[first:], values, strict=True)
        ]


class Watched:
    """The recurrent modules of a model and their calls: `watched["encoder.rnn"]` is a trace."""

    def __init__(self, names: Sequence[str]) -> None:
        self._calls: dict[str, list[Call]] = {name: [] for name in names}

    def __iter__(self) -> Iterator[str]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, name: object) -> bool:
        return name in self._calls

    def __getitem__(self, name: str) -> Trace:
        """The trace of a module that was called once, or again and again from where it had stopped, as in decoding.

        Raises:
            WatchError: it was not called, its calls do not follow each other, or it cannot be recorded.
            KeyError: there is no such module.
        """
        return self.trace(name)

    def trace(
        self,
        name: str,
        *,
        drives: bool = True,
        text: str | Sequence[str] | None = None,
        vocabulary: Vocabulary | None = None,
        inputs: bool = False,
    ) -> Trace:
        """As `watched[name]`, with the arguments of `Call.trace`: what the vectors stand for, and what is kept.

        Raises:
            WatchError, TraceError, KeyError: as `watched[name]` and `Call.trace`.
        """
        calls = self.calls(name)
        if not calls:
            raise WatchError(
                f"{name} was not called while it was watched. Run the model inside `with gatescope.watch(model)`; "
                "a compiled model has to be watched before it is compiled."
            )
        joined = calls[0] if len(calls) == 1 else _joined(calls)
        if joined is None:
            raise WatchError(
                f"{name} was called {len(calls)} times, and not each time from where it had stopped; take one of "
                f"watched.calls({name!r})[k].trace()."
            )
        return joined.trace(drives=drives, text=text, vocabulary=vocabulary, inputs=inputs)

    def calls(self, name: str) -> tuple[Call, ...]:
        """All calls of a module, in order.

        Raises:
            KeyError: there is no such module.
        """
        if name not in self._calls:
            raise KeyError(f"no module {name!r} is watched; there are {', '.join(self._calls)}.")
        return tuple(self._calls[name])

    def _add(self, name: str, call: Call) -> None:
        self._calls[name].append(call)


@contextmanager
def watch(model: nn.Module, modules: Sequence[str] | None = None) -> Iterator[Watched]:
    """Record torch.nn.LSTM, GRU and RNN modules inside a model, while it runs inside the block.

    Every call keeps a copy of its inputs and outputs, so watch a few batches, not an epoch.

    Args:
        model: any model, or a recurrent module itself (its name is then "").
        modules: the names of the modules to watch, as in `model.named_modules()`; all recurrent ones when None.

    Raises:
        WatchError: there is no such module.
    """
    there = {name: module for name, module in model.named_modules() if isinstance(module, _KINDS)}
    if unknown := [name for name in modules or () if name not in there]:
        raise WatchError(f"there is no recurrent module {unknown[0]!r}; there are {', '.join(there) or 'none'}.")
    if not there:
        steppers = [name for name, module in model.named_modules() if isinstance(module, nn.RNNCellBase)]
        besides = f" ({', '.join(steppers)} run one step at a time, which is not recorded)" if steppers else ""
        raise WatchError(f"the model has no torch.nn.LSTM, GRU or RNN{besides}.")
    chosen = {name: there[name] for name in (there if modules is None else modules)}
    watched = Watched(list(chosen))
    handles = []
    try:
        for name, module in chosen.items():
            handles.append(module.register_forward_hook(_Hook(watched, name), with_kwargs=True))
        yield watched
    finally:
        for handle in handles:
            handle.remove()


_KINDS = (nn.RNN, nn.LSTM, nn.GRU)


class _Hook:
    """Keeps the calls of one module."""

    def __init__(self, watched: Watched, name: str) -> None:
        self.watched, self.name = watched, name
        self.stamp: tuple[Any, ...] = ()
        self.twin: Any = None

    def __call__(self, module: Any, given: tuple[Any, ...], named: dict[str, Any], result: tuple[Any, Any]) -> None:
        with torch.no_grad():
            self.watched._add(self.name, self._call(module, given, named, result))

    def _call(self, module: Any, given: tuple[Any, ...], named: dict[str, Any], result: tuple[Any, Any]) -> Call:
        inputs = given[0] if given else named["input"]
        started = given[1] if len(given) > 1 else named.get("hx")
        outputs, after = result
        weights = dict(zip(module._flat_weights_names, module._flat_weights, strict=True))  # those that it ran with
        batch = batch_of(_copied(inputs), module.batch_first)
        spread = batch_of(_copied(outputs), module.batch_first).inputs
        twin = self._twin(module, weights)
        names = twin.initial
        return Call(
            twin,
            batch,
            None if started is None else _states(names, started, batch.single),
            spread,
            _states(names, after, batch.single),
            _problem(self.name, module, outputs, next(iter(weights.values()))),
        )

    def _twin(self, module: Any, weights: Mapping[str, Tensor]) -> Any:
        """The same module of gatescope.nn with copies of the weights; they are copied again only when they changed."""
        stamp = tuple((id(value), 0 if value.is_inference() else value._version) for value in weights.values())
        if self.twin is None or stamp != self.stamp:
            self.stamp, self.twin = stamp, _twin_of(module, weights)
        return self.twin


def _twin_of(module: Any, weights: Mapping[str, Tensor]) -> Any:
    """A module of gatescope.nn with the settings of one of torch and copies of these weights.

    It is not made anew, and its weights are plain attributes: otherwise that would take as long as a small module runs.
    """
    kind = LSTM if isinstance(module, nn.LSTM) else GRU if isinstance(module, nn.GRU) else RNN
    twin = kind.__new__(kind)
    twin.__dict__ = {**module.__dict__, "_parameters": {}, **{name: value.clone() for name, value in weights.items()}}
    return twin


def _problem(name: str, module: Any, outputs: Any, weights: Tensor) -> str:
    """Why a call cannot be recorded; "" where it can."""
    if module.training and module.dropout and module.num_layers > 1:
        return (
            f"{name} drops values between its layers while it trains, and only torch knows which ones; record it after "
            "model.eval()."
        )
    dtype = outputs.data.dtype if isinstance(outputs, PackedSequence) else outputs.dtype
    if dtype != weights.dtype:
        return (
            f"{name} has weights of {weights.dtype} and computed in {dtype}, as under autocast; record it outside of "
            "torch.autocast."
        )
    return ""


def _copied(values: Any) -> Any:
    if isinstance(values, PackedSequence):
        return PackedSequence(values.data.clone(), *values[1:])
    return values.clone()


def _states(names: Sequence[str], given: Any, single: bool) -> dict[str, Tensor]:
    """The states by name, (layers · directions, B, N), as copies."""
    values = given if isinstance(given, tuple | list) else (given,)
    return {name: (value.unsqueeze(1) if single else value).clone() for name, value in zip(names, values, strict=True)}


def _furthest(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max()) if one.numel() else 0.0


def _joined(calls: Sequence[Call]) -> Call | None:
    """Calls that follow each other as one; None where one of them does not start where the one before stopped."""
    first = calls[0]
    for before, call in pairwise(calls):
        same = call.module is first.module and call.state is not None and not call.problem
        if not same or call.batch.lengths is not None or first.batch.lengths is not None or first.module.bidirectional:
            return None
        started = call.state or {}
        if any(v.shape != before.final[n].shape or not torch.equal(v, before.final[n]) for n, v in started.items()):
            return None
    inputs = torch.cat([call.batch.inputs for call in calls])
    outputs = torch.cat([call.outputs for call in calls])
    return replace(first, batch=Batch(inputs), outputs=outputs, final=calls[-1].final)
