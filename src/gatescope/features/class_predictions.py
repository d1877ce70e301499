"""Classes: the predicted and the true class. They are read from a trace, because a text alone does not have them."""

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
    predicted = _flatten(trace, np.asarray(trace.steps["top_token"])[..., 0])
    target = _flatten(trace, np.asarray(trace.steps["target"]))
    yield Feature("class.said", "the predicted class", predicted, readout.names)
    if (target >= 0).any():
        yield Feature("class.right", "the true class", target, readout.names)
        judged = (target >= 0) & (predicted >= 0)
        yield Feature("class.wrong", "the prediction is wrong", judged & (predicted != target))


def _flatten(trace: Trace, ids: NDArray[np.integer]) -> NDArray[np.int16]:
    """Return the steps of all sequences (S, T), one sequence after the other, without padding."""
    inside = np.arange(ids.shape[1]) < np.asarray(trace.lengths)[:, None]
    return ids[inside].astype(np.int16)


FAMILY = Family("class", "the predicted class and the true class", lambda _: (), of_trace=_of_trace)
