"""The four forms of a module's input (batched, batch first, a single sequence, packed) as one batch, and back.

`T` steps, `B` sequences, `I` inputs.
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
    """The input of a module in the engine's layout: steps first, sequences in the caller's order.

    Attributes:
        inputs: the vectors; 0 for padding.
        lengths: the number of steps of each sequence; None if all sequences have T steps.
        mask: whether a sequence has a step, in the order of a packed sequence: the longest first.
        packed: the original input, if it was packed.
        single: whether the input was one sequence without a batch axis.
        batch_first: whether the batch axis came first.
    """

    inputs: Float[Tensor, "T B I"]
    lengths: Int[Tensor, "B"] | None = None
    mask: Bool[Tensor, "T B"] | None = None
    packed: PackedSequence | None = None
    single: bool = False
    batch_first: bool = False

    def to_packed(self, values: Float[Tensor, "T B N"]) -> Tensor:
        """Return the values without padding, in the order in which torch stores them between two layers."""
        if self.packed is None:
            return values
        if self.packed.sorted_indices is not None:
            values = values.index_select(1, self.packed.sorted_indices)
        return values.flatten(0, 1) if self.mask is None else values[self.mask]

    def from_packed(self, values: Tensor) -> Float[Tensor, "T B N"]:
        """Return the inverse of `to_packed`, with 0 for padding."""
        return values if self.packed is None else _unpacked(values, self.packed, self.mask)

    def in_original_form(self, values: Float[Tensor, "T B N"]) -> Any:
        """Return outputs in the form of the original input."""
        if self.packed is not None:
            return PackedSequence(self.to_packed(values), *self.packed[1:])
        if self.single:
            return values.squeeze(1)
        return values.transpose(0, 1) if self.batch_first else values


def data_of(inputs: Any) -> Any:
    """Return the tensor of an input, which may be packed."""
    return inputs.data if isinstance(inputs, PackedSequence) else inputs


def batch_of(inputs: Any, batch_first: bool) -> Batch:
    """Return the batch of a tensor of two or three axes, or of a packed sequence.

    Args:
        inputs: (T, I), (T, B, I), (B, T, I) or a PackedSequence of vectors.
        batch_first: whether the batch axis of three comes first.
    """
    if not isinstance(inputs, PackedSequence):
        if inputs.dim() == 2:
            return Batch(inputs.unsqueeze(1), single=True)
        return Batch(inputs.transpose(0, 1) if batch_first else inputs, batch_first=batch_first)
    sizes = inputs.batch_sizes
    mask = lengths = None
    if len(sizes) and int(sizes[0]) != int(sizes[-1]):
        mask = (sizes[:, None] > torch.arange(int(sizes[0]))).to(inputs.data.device)
        lengths = mask.sum(0)
        if inputs.unsorted_indices is not None:
            lengths = lengths.index_select(0, inputs.unsorted_indices)
    return Batch(_unpacked(inputs.data, inputs, mask), lengths, mask, inputs)


def _unpacked(values: Tensor, packed: PackedSequence, mask: Tensor | None) -> Tensor:
    """Return vectors (all steps of all sequences, I) of a packed sequence as (T, B, I), in the caller's order."""
    size = len(packed.batch_sizes), int(packed.batch_sizes[0]) if len(packed.batch_sizes) else 0
    if mask is None:
        padded = values.reshape(*size, values.shape[1])
    else:
        padded = values.new_zeros(*size, values.shape[1]).index_put(mask.nonzero(as_tuple=True), values)
    return padded if packed.unsorted_indices is None else padded.index_select(1, packed.unsorted_indices)
