"""Features of the text on the page, as raw bytes in the safetensors layout: one row of numbers for each feature."""

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
from gatescope.explorer.recorder import Recorder, file_stamp, weights_stamp
from gatescope.explorer.requests import Field, parse_request
from gatescope.features import Family, Feature, features_named
from gatescope.runs import Run
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.subjects import subject

SAMPLE_CHARACTERS = 20_000  # of the run's text; the families of features are chosen for them
MAX_FEATURES = 64  # of one request
FEATURE_BYTES = 4_000  # of a step, for all features of a text and what they are computed from
FAMILIES_BYTES = 1 << 20  # an estimate for the families of a run in memory
FIELDS = {"text": Field(str), "features": Field(str, is_list=True, max_items=MAX_FEATURES)}


class Tracks:
    """Annotates texts with the features that the neurons of a run are compared with."""

    def __init__(self, recorder: Recorder, memory: Memory) -> None:
        self._recorder, self._memory = recorder, memory
        self._lock = threading.Lock()

    def answer(self, run: Run, data: Any) -> bytes:
        """Return the values of some features at every step of a text, in the layout that docs/explorer.md describes.

        Raises:
            RequestError: a field cannot be used.
            GatescopeError: the run cannot be read.
        """
        fields = parse_request("features", data, FIELDS)
        text, names = fields["text"], fields["features"]
        annotated_characters = max(SAMPLE_CHARACTERS, len(text))
        extra_bytes = loading_bytes(run.configuration()) + FEATURE_BYTES * annotated_characters
        with self._recorder.steps(run, text, extra_bytes) as trace, self._lock:
            features = [] if trace is None else self._features(run, text, Steps(trace))
        arrays: dict[str, NDArray[Any]] = {}
        requested: list[dict[str, Any] | None] = []
        for number, (name, feature) in enumerate(zip(names, features_named(features, names), strict=True)):
            if feature is None or feature.kind == "category":
                requested.append(None)
                continue
            requested.append({"name": name, "title": feature.title, "kind": feature.kind})
            arrays[str(number)] = _feature_values(feature)
        known = [_feature_json(feature) for feature in features]
        return save(arrays, {"features": json.dumps(known), "found": json.dumps(requested)})

    def values(self, run: Run, text: str, names: Sequence[str]) -> list[Feature | None]:
        """Return some features at every step of a text, by the names that labels have; None for unknown ones.

        Raises:
            GatescopeError: the run cannot be read, or the text is too long.
        """
        annotated_characters = max(SAMPLE_CHARACTERS, len(text))
        extra_bytes = loading_bytes(run.configuration()) + FEATURE_BYTES * annotated_characters
        with self._recorder.recorded(run, text, extra_bytes) as recorded, self._lock:
            features = [] if recorded.trace is None else self._features(run, text, Steps(recorded.trace))
        return features_named(features, names)

    def _features(self, run: Run, text: str, steps: Steps) -> list[Feature]:
        # Some features are computed from the trace, so they change with the weights.
        key = ("features", run.path.resolve(), weights_stamp(run), text)
        features: list[Feature] | None = self._memory.cached(key)
        if features is None:
            features = steps.features(self._families_of(run, text))
            self._memory.keep(key, features, sum(feature.values.nbytes for feature in features))
        return features

    def _families_of(self, run: Run, text: str) -> Sequence[Family]:
        """Return the families that fit the run's own text, or those that fit the shown text if its file is gone."""
        key = ("families", run.path.resolve(), file_stamp(run.path / "task.json"))
        families: Sequence[Family] | None = self._memory.cached(key)
        if families is None:
            try:
                families = subject(run, characters=SAMPLE_CHARACTERS).families
            except GatescopeError:
                return subject(run, text=text).families
            self._memory.keep(key, families, FAMILIES_BYTES)
        return families


def _feature_values(feature: Feature) -> NDArray[Any]:
    """Return one number per step: 0 or 1 for a binary feature, a count for others, NaN if there is no value."""
    return np.ascontiguousarray(feature.values, dtype=np.uint8 if feature.kind == "binary" else np.float32)


def _feature_json(feature: Feature) -> dict[str, Any]:
    return {
        "name": feature.name,
        "title": feature.title,
        "kind": feature.kind,
        "categories": list(feature.categories),
    }
