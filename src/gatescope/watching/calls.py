"""One call of a recurrent module, and its signals, which are computed on demand.

`T` steps, `B` sequences, `N` neurons, `P` projected values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gatescope.errors import GatescopeError
from gatescope.messages import Message
from gatescope.nn.packing import Batch
from gatescope.nn.traces import InputMeaning, LayerRun, trace_of
from gatescope.trace import Trace
from gatescope.vocabulary import Vocabulary

MAX_DIFFERENCE = 1e-4  # up to which the results of a module's own `forward` count as those of the equations


class WatchError(GatescopeError):
    """A module or call that cannot be recorded; the message names the reason."""


@dataclass(frozen=True)
class Call:
    """One call of a module, with copies of its arguments and results.

    Attributes:
        name: the name of the module.
        module: a module of gatescope.nn with copies of the weights.
        batch: the inputs.
        state: the states before the first step, (layers · directions, B, N or P); None for 0.
        outputs: the hidden states (or their projections) of the last layer; 0 for padding.
        final: the states after the last step.
        obstacle: why the call cannot be recorded; None if it can.
        subclass: the subclass whose own `forward` was called, so that its numbers must be compared with the equations;
            "" for a call of the base class.
        continued: whether the state is the very object that the previous call returned.
    """

    name: str
    module: Any
    batch: Batch
    state: Mapping[str, Tensor] | None
    outputs: Float[Tensor, "T B _"]
    final: Mapping[str, Tensor]
    obstacle: Message | None = None
    subclass: str = ""
    continued: bool = False

    @classmethod
    def unrecorded(cls, name: str, obstacle: Message) -> Call:
        """Return a call without values, which cannot be recorded.

        Args:
            name: the name of the module.
            obstacle: the reason.
        """
        no_values = torch.empty(0, 0, 0)
        return cls(name, None, Batch(no_values), None, no_values, {}, obstacle)

    @property
    def problem(self) -> str:
        """Why the call cannot be recorded; "" if it can."""
        return "" if self.obstacle is None else str(self.obstacle)

    def signals(self) -> dict[str, Mapping[str, Float[Tensor, "T B N"]]]:
        """Return layer ("layer0", "layer0_reverse", ...) -> signal -> values at every step; 0 for padding.

        Raises:
            WatchError: this call cannot be recorded.
        """
        self._check_recordable()
        if self.subclass:
            self._check_equations(self._run(self.module.cell.signals)[1])
        runs: list[LayerRun] = []
        cell, hidden = self.module.cell, self._last_hidden()
        keep = [name for name in cell.signals if hidden is None or name != "h"]
        with torch.no_grad():
            self.module._run(self.batch, self.state, keep, ((), ()), False, runs.append, hidden)
        return {run.name: {name: run.signals[name] for name in cell.signals} for run in runs}

    def trace(
        self,
        *,
        drives: bool = True,
        text: str | Sequence[str] | None = None,
        vocabulary: Vocabulary | None = None,
        inputs: bool = False,
    ) -> Trace:
        """Return the trace of this call: every signal of every neuron at every step, checked with the weights.

        The module reads vectors, so without a text the tokens are -1. The attribute "difference" of the trace is the
        largest difference between the results of the module and those of the engine.

        Args:
            drives: whether the trace contains the drives. Without them it cannot be checked again completely.
            text: the meaning of the vectors: one text for each sequence, one symbol for each step.
            vocabulary: the vocabulary of the text; by default its characters. Without a text and with `inputs`, the
                names of the inputs.
            inputs: whether the trace contains the vectors.

        Raises:
            WatchError: this call cannot be recorded.
            TraceError: traces do not have the precision of the module, or the text does not fit the sequences.
        """
        self._check_recordable()
        cell = self.module.cell
        runs, pairs = self._run((*cell.signals, *cell.drives))
        difference = self._check_equations(pairs)
        meaning = InputMeaning(text, vocabulary, inputs)
        trace = trace_of(cell, runs, self.batch.inputs, self.batch.lengths, drives, meaning)
        return replace(trace, attributes={**trace.attributes, "difference": difference})

    def _check_recordable(self) -> None:
        if self.obstacle is not None:
            raise WatchError(self.obstacle)

    def _check_equations(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
        """Return the largest difference from the equations; refuse a subclass whose `forward` computes others."""
        difference = max((_largest_difference(computed, original) for computed, original in pairs), default=0.0)
        if self.subclass and not difference <= MAX_DIFFERENCE:
            title = self.module.cell.title
            raise WatchError(
                "WATCH_EQUATIONS_DIFFER", name=self.name, title=title, kind=self.subclass, difference=difference
            )
        return difference

    def _run(self, keep: Sequence[str]) -> tuple[list[LayerRun], list[tuple[Tensor, Tensor]]]:
        """Return the run of each direction of each layer, and pairs of computed and original results."""
        runs: list[LayerRun] = []
        hidden = self._last_hidden()
        with torch.no_grad():
            outputs, finals = self.module._run(self.batch, self.state, keep, ((), ()), False, runs.append, hidden)
        if hidden is not None:  # compare the values that the equations compute from the original previous step
            outputs = torch.cat([run.signals["h"] for run in runs[-self._directions :]], 2)
        states = [(value, self.final[name]) for name, value in zip(self.module.initial, finals, strict=True)]
        return self._with_original_hidden(runs), [(outputs, self.outputs), *states]

    @property
    def _directions(self) -> int:
        return 2 if self.module.bidirectional else 1

    def _last_hidden(self) -> Tensor | None:
        """Return the original hidden states of the last layer; None if only their projections are known."""
        return None if self.module.proj_size else self.outputs

    def _with_original_hidden(self, runs: list[LayerRun]) -> list[LayerRun]:
        """Return the runs, where those of the last layer have the module's original hidden states."""
        hidden = self._last_hidden()
        if hidden is None:
            return runs
        first = len(runs) - self._directions
        values = hidden.split(self.module.hidden_size, 2)
        return runs[:first] + [
            replace(run, signals={**run.signals, "h": h}) for run, h in zip(runs[first:], values, strict=True)
        ]


def _largest_difference(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max()) if first.numel() else 0.0
