"""The precision in which a module computes: that of its weights, whatever torch.autocast says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from gatescope.nn.packing import vectors


def full_precision(given: Any) -> AbstractContextManager[bool]:
    """Inside, autocast is off: what is carried over many steps is computed in the precision of the weights.

    The context says whether it was on.
    """
    kind = vectors(given).device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return _without_autocast(kind)
    return _AS_IT_IS


@contextmanager
def _without_autocast(kind: str) -> Iterator[bool]:
    with torch.autocast(kind, enabled=False):
        yield True


_AS_IT_IS = nullcontext(False)
