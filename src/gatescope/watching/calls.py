"""One call of a recurrent module, and the signals that are computed of it when they are asked for.

`T` step, `B` sequence, `I` input, `N` neuron.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gatescope.errors import GatescopeError
from gatescope.nn.packing import Batch
from gatescope.nn.traces import Meaning, Ran, trace_of
from gatescope.trace import Trace
from gatescope.vocabulary import Vocabulary

OWN_DIFFERENCE = 1e-4  # from the equations, by which a call of a `forward` of the module's own counts as theirs


class WatchError(GatescopeError):
    """A module was not called, or cannot be recorded in the way in which it was called; the message says why."""


@dataclass(frozen=True)
class Call:
    """One call of a module: what it was given and what it gave, as copies.

    Attributes:
        name: of the module.
        module: one of gatescope.nn with the weights that the module had.
        batch: the inputs.
        state: the states before the first step, (layers · directions, B, N or P); None for 0.
        outputs: the hidden states (or their projections) of the last layer, behind the ends of sequences 0.
        final: the states after the last step.
        problem: why it cannot be recorded; "" where it can.
        own: the class whose own `forward` was called, so that only the numbers say whether the equations hold; or "".
        handed_on: whether the state is the very object that the call before returned.
    """

    name: str
    module: Any
    batch: Batch
    state: Mapping[str, Tensor] | None
    outputs: Float[Tensor, "T B _"]
    final: Mapping[str, Tensor]
    problem: str = ""
    own: str = ""
    handed_on: bool = False

    @classmethod
    def unrecorded(cls, name: str, problem: str) -> Call:
        """Return a call of which nothing but the reason is known why it cannot be recorded."""
        nothing = torch.empty(0, 0, 0)
        return cls(name, None, Batch(nothing), None, nothing, {}, problem)

    def signals(self) -> dict[str, Mapping[str, Float[Tensor, "T B N"]]]:
        """Return the signals of "layer0", "layer0_reverse", ... at every step, by name; 0 after the end of a sequence.

        Raises:
            WatchError: the module cannot be recorded in the way in which it was called.
        """
        self._expect_recordable()
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
        self._expect_recordable(checked=False)
        cell = self.module.cell
        ran, off = self._ran((*cell.signals, *cell.drives))
        difference = self._expect_equations(off)
        meaning = Meaning(text, vocabulary, inputs)
        trace = trace_of(cell, ran, self.batch.inputs, self.batch.lengths, drives, meaning)
        return replace(trace, attributes={**trace.attributes, "difference": difference})

    def _expect_recordable(self, *, checked: bool = True) -> None:
        if self.problem:
            raise WatchError(self.problem)
        if self.own and checked:
            self._expect_equations(self._ran(self.module.cell.signals)[1])

    def _expect_equations(self, off: Sequence[tuple[Tensor, Tensor]]) -> float:
        """Return the largest difference from the equations; refuse an own `forward` that computes something else."""
        difference = max((_furthest(computed, own) for computed, own in off), default=0.0)
        if self.own and not difference <= OWN_DIFFERENCE:
            raise WatchError(
                "CALLS_EQUATIONS_VALUES_FORWARD_OFF",
                name=self.name,
                title=self.module.cell.title,
                own=self.own,
                difference=difference,
            )
        return difference

    def _ran(self, keep: Sequence[str]) -> tuple[list[Ran], list[tuple[Tensor, Tensor]]]:
        """The run of each direction of each layer, and pairs of what was computed and what the module gave."""
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


def _furthest(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max()) if one.numel() else 0.0
