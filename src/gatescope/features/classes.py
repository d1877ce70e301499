"""Classes: what a network said, and what it should have said. Read from its trace, as no text tells it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gatescope.features.feature import Family, Feature
from gatescope.readout import Readout
from gatescope.trace import Trace


def _of_trace(trace: Trace) -> Iterator[Feature]:
    readout = Readout.from_json(trace.attributes["readout"])
    if readout.kind != "classes" or len(readout.names) > np.iinfo(np.int16).max:
        return
    said = _flat(trace, np.asarray(trace.steps["top_token"])[..., 0])
    right = _flat(trace, np.asarray(trace.steps["target"]))
    yield Feature("class.said", "the network says", said, readout.names)
    if (right >= 0).any():
        yield Feature("class.right", "right would be", right, readout.names)
        judged = (right >= 0) & (said >= 0)
        yield Feature("class.wrong", "the network is wrong", judged & (said != right))


def _flat(trace: Trace, ids: NDArray[np.integer]) -> NDArray[np.int16]:
    """The steps of all sequences (S, T), one after the other."""
    inside = np.arange(ids.shape[1]) < np.asarray(trace.lengths)[:, None]
    return ids[inside].astype(np.int16)


FAMILY = Family("class", "which class the network said, and which was right", lambda _: (), of_trace=_of_trace)
