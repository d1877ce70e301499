"""Features of the text that the page shows, as raw bytes in the safetensors layout: one row of numbers a feature."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gatescope.errors import GatescopeError
from gatescope.explorer.traces import Recorder, RequestError, stamp_of
from gatescope.features import Family, Feature, features_named
from gatescope.runs import Run
from gatescope.studies.steps import Steps
from gatescope.studies.subjects import subject

LOOKED_AT = 20_000  # characters of the text of a run by which the families are chosen
KEPT_RUNS = 8
KEPT_TEXTS = 4
MOST = 64  # features of one request


class Tracks:
    """Annotates texts with the features that the neurons of a run are compared with."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._families: OrderedDict[Hashable, Sequence[Family]] = OrderedDict()
        self._annotated: OrderedDict[Hashable, list[Feature]] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, run: Run, data: Any) -> bytes:
        """The values of some features at every step of a text, in the layout that docs/explorer.md describes.

        Raises:
            RequestError: a field is missing, unknown or of the wrong kind.
            GatescopeError: the run cannot be read.
        """
        if not isinstance(data, dict) or set(data) != {"text", "features"} or not isinstance(data["text"], str):
            raise RequestError("A request for features is a JSON object with a text, and a list of features.")
        names = data["features"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > MOST:
            raise RequestError(f"features of a request is a list of at most {MOST} names.")
        trace = self._recorder.recorded(run, data["text"]).trace
        with self._lock:
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
        key = (run.path.resolve(), text)
        if key not in self._annotated:
            self._annotated[key] = steps.features(self._families_of(run, text))
            while len(self._annotated) > KEPT_TEXTS:
                self._annotated.popitem(last=False)
        self._annotated.move_to_end(key)
        return self._annotated[key]

    def _families_of(self, run: Run, text: str) -> Sequence[Family]:
        """Those of the text that the run is studied on; those that fit the shown text where that one is gone."""
        key = (run.path.resolve(), stamp_of(run.path / "task.json"))
        if key not in self._families:
            try:
                self._families[key] = subject(run, characters=LOOKED_AT).families
            except GatescopeError:
                return subject(run, text=text).families
            while len(self._families) > KEPT_RUNS:
                self._families.popitem(last=False)
        return self._families[key]


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
