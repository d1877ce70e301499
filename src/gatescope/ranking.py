"""The order of symbols and classes by their prediction, with the one rule for ties: the lowest id comes first.

`argmax` of NumPy and torch follows this rule, `topk` of torch does not. `web/engine/ranking.ts` is the twin.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

MAX_ROUNDS = 8  # ranks for which that many calls of argmax are faster than `topk`


def ranked(values: Float[Tensor, "*S V"], count: int) -> Int[Tensor, "*S K"]:
    """Return the ids of the `count` largest values, the largest first; equal values in the order of their ids.

    NaN counts as larger than every number, as in `argmax`.

    Args:
        values: any values, such as logits.
        count: how many ids to return; at most V.
    """
    size = values.shape[-1]
    count = min(count, size)
    if not values.numel():
        return values.new_empty((*values.shape[:-1], count)).long()
    in_numpy = values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64)
    order = _by_rounds(values, count) if in_numpy and 0 < count <= MAX_ROUNDS else None
    return _by_topk(values, count) if order is None else order


def _by_rounds(values: Float[Tensor, "*S V"], count: int) -> Int[Tensor, "*S K"] | None:
    """Return the order from one search of the maximum for each rank; None if a chosen value is minus infinity."""
    left = values.detach().numpy().reshape(-1, values.shape[-1]).copy()
    rows, best = np.arange(len(left)), left.argmax(1)
    order = np.empty((len(left), count), np.int64)
    order[:, 0] = best
    for rank in range(1, count):
        left[rows, best] = -np.inf
        order[:, rank] = best = left.argmax(1)
    if np.isneginf(left[rows, best]).any():  # minus infinity also marks the values that have a rank
        return None
    return torch.from_numpy(order).reshape(*values.shape[:-1], count)


def _by_topk(values: Float[Tensor, "*S V"], count: int) -> Int[Tensor, "*S K"]:
    """Return the order from `topk`; rows in which two values are equal are sorted instead."""
    best = values.topk(min(count + 1, values.shape[-1]), dim=-1)
    order = best.indices[..., :count].clone()
    tied = (best.values[..., 1:] == best.values[..., :-1]).any(-1) | best.values[..., 0].isnan()
    if tied.any():  # seldom, so that the slower sort runs for few rows
        order[tied] = values[tied].sort(dim=-1, descending=True, stable=True).indices[..., :count]
    return order
