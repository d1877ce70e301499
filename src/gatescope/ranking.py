"""The order of symbols and classes by their prediction, with the one rule for ties: the lowest id comes first.

`argmax` of NumPy and torch follows this rule, `topk` of torch does not. `web/engine/ranking.ts` is the twin.
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor


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
    best = values.topk(min(count + 1, size), dim=-1)
    order = best.indices[..., :count].clone()
    tied = (best.values[..., 1:] == best.values[..., :-1]).any(-1) | best.values[..., 0].isnan()
    if tied.any():  # seldom, so that the slower sort runs for few rows
        order[tied] = values[tied].sort(dim=-1, descending=True, stable=True).indices[..., :count]
    return order
