"""Sequences in the forms that torch's recurrent modules take, and back: batched, a single one, batch first, packed.

`T` step, `B` sequence, `I` input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


@dataclass(frozen=True)
class Batch:
    """What a module was given, as the engine takes it: steps first, sequences in their user's order.

    Attributes:
        inputs: the vectors; 0 behind the end of a sequence.
        lengths: the steps of each sequence; None where all have all steps.
        here: whether a sequence has a step, the longest sequence first, as a packed one lists its vectors.
        packed: what came in, where it was packed.
        single: whether it was one sequence without an axis for the batch.
        batch_first: whether the axis of the batch came first.
    """

    inputs: Float[Tensor, "T B I"]
    lengths: Int[Tensor, "B"] | None = None
    here: Bool[Tensor, "T B"] | None = None
    packed: PackedSequence | None = None
    single: bool = False
    batch_first: bool = False

    def flat(self, values: Float[Tensor, "T B N"]) -> Tensor:
        """The values of the steps that there are, in the order in which torch itself holds them between two layers."""
        if self.packed is None:
            return values
        if self.packed.sorted_indices is not None:
            values = values.index_select(1, self.packed.sorted_indices)
        return values.flatten(0, 1) if self.here is None else values[self.here]

    def unflat(self, values: Tensor) -> Float[Tensor, "T B N"]:
        """What `flat` was given, 0 behind the end of a sequence."""
        return values if self.packed is None else _spread(values, self.packed, self.here)

    def given_back(self, values: Float[Tensor, "T B N"]) -> Any:
        """Outputs in the form in which the inputs came."""
        if self.packed is not None:
            return PackedSequence(self.flat(values), *self.packed[1:])
        if self.single:
            return values.squeeze(1)
        return values.transpose(0, 1) if self.batch_first else values


def vectors(given: Any) -> Any:
    """The tensor in what a module was given."""
    return given.data if isinstance(given, PackedSequence) else given


def batch_of(given: Any, batch_first: bool) -> Batch:
    """The batch in a tensor of two or three axes, or in a packed sequence whose vectors have one axis."""
    if not isinstance(given, PackedSequence):
        if given.dim() == 2:
            return Batch(given.unsqueeze(1), single=True)
        return Batch(given.transpose(0, 1) if batch_first else given, batch_first=batch_first)
    sizes = given.batch_sizes
    here = lengths = None
    if len(sizes) and int(sizes[0]) != int(sizes[-1]):
        sorted_here = sizes[:, None] > torch.arange(int(sizes[0]))
        here = sorted_here.to(given.data.device)
        lengths = here.sum(0)
        if given.unsorted_indices is not None:
            lengths = lengths.index_select(0, given.unsorted_indices)
    return Batch(_spread(given.data, given, here), lengths, here, given)


def _spread(values: Tensor, packed: PackedSequence, here: Tensor | None) -> Tensor:
    """Vectors (all steps of all sequences, I) of a packed sequence as (T, B, I), sequences in their user's order."""
    size = len(packed.batch_sizes), int(packed.batch_sizes[0]) if len(packed.batch_sizes) else 0
    if here is None:
        found = values.reshape(*size, values.shape[1])
    else:
        found = values.new_zeros(*size, values.shape[1]).index_put(here.nonzero(as_tuple=True), values)
    return found if packed.unsorted_indices is None else found.index_select(1, packed.unsorted_indices)
