"""The precision of a module: always the precision of its weights, also under torch.autocast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from gatescope.nn.packing import data_of


def full_precision(inputs: Any) -> AbstractContextManager[bool]:
    """Return a context in which autocast is off; its value is whether autocast was on.

    A state that is carried over many steps needs the precision of the weights.
    """
    kind = data_of(inputs).device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return _without_autocast(kind)
    return _UNCHANGED


@contextmanager
def _without_autocast(kind: str) -> Iterator[bool]:
    with torch.autocast(kind, enabled=False):
        yield True


_UNCHANGED = nullcontext(False)
