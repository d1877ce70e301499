"""Features of the text that the page shows, as raw bytes in the safetensors layout: one row of numbers a feature."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gatescope.errors import GatescopeError
from gatescope.explorer.costs import loading_bytes
from gatescope.explorer.memory import Memory
from gatescope.explorer.recorder import Recorder, stamp_of, weights_stamp
from gatescope.explorer.requests import RequestError
from gatescope.features import Family, Feature, features_named
from gatescope.runs import Run
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.subjects import subject

LOOKED_AT = 20_000  # characters of the text of a run by which the families are chosen
MOST = 64  # features of one request
FEATURE_BYTES = 4_000  # at each step, of all features of a text and what they are computed from
FAMILIES_BYTES = 1 << 20


class Tracks:
    """Annotates texts with the features that the neurons of a run are compared with."""

    def __init__(self, recorder: Recorder, memory: Memory) -> None:
        self._recorder, self._memory = recorder, memory
        self._lock = threading.Lock()

    def answer(self, run: Run, data: Any) -> bytes:
        """The values of some features at every step of a text, in the layout that docs/explorer.md describes.

        Raises:
            RequestError: a field is missing, unknown or of the wrong kind.
            GatescopeError: the run cannot be read.
        """
        if not isinstance(data, dict) or set(data) != {"text", "features"} or not isinstance(data["text"], str):
            raise RequestError("TRACKS_REQUEST_FEATURES_JSON_OBJECT")
        names = data["features"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > MOST:
            raise RequestError("TRACKS_FEATURES_REQUEST_LIST_MOST", most=MOST)
        looked_at = max(LOOKED_AT, len(data["text"]))
        more_bytes = loading_bytes(run.configuration()) + FEATURE_BYTES * looked_at
        with self._recorder.recorded(run, data["text"], more_bytes) as recorded, self._lock:
            trace = recorded.trace
            features = [] if trace is None else self._features(run, data["text"], Steps(trace))
        arrays, said = {}, []
        for number, (name, feature) in enumerate(zip(names, features_named(features, names), strict=True)):
            if feature is None or feature.kind == "category":
                said.append(None)
                continue
            said.append({"name": name, "title": feature.title, "kind": feature.kind})
            arrays[str(number)] = _values(feature)
        known = [_about(feature) for feature in features]
        return save(arrays, {"features": json.dumps(known), "found": json.dumps(said)})

    def _features(self, run: Run, text: str, steps: Steps) -> list[Feature]:
        # Some features are read from the trace, so they change with the weights.
        key = ("features", run.path.resolve(), weights_stamp(run), text)
        features: list[Feature] | None = self._memory.cached(key)
        if features is None:
            features = steps.features(self._families_of(run, text))
            self._memory.keep(key, features, sum(feature.values.nbytes for feature in features))
        return features

    def _families_of(self, run: Run, text: str) -> Sequence[Family]:
        """Those of the text that the run is studied on; those that fit the shown text where that one is gone."""
        key = ("families", run.path.resolve(), stamp_of(run.path / "task.json"))
        families: Sequence[Family] | None = self._memory.cached(key)
        if families is None:
            try:
                families = subject(run, characters=LOOKED_AT).families
            except GatescopeError:
                return subject(run, text=text).families
            self._memory.keep(key, families, FAMILIES_BYTES)
        return families


def _values(feature: Feature) -> NDArray[Any]:
    """One number a step: 0 or 1 of a binary feature, the count of another, NaN where there is none."""
    return np.ascontiguousarray(feature.values, dtype=np.uint8 if feature.kind == "binary" else np.float32)


def _about(feature: Feature) -> dict[str, Any]:
    return {
        "name": feature.name,
        "title": feature.title,
        "kind": feature.kind,
        "categories": list(feature.categories),
    }
