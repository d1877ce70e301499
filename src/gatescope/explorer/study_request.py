"""A request for a study of a run."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

from gatescope.explorer.requests import Field, parse_request

WHOLE_RUN_STUDIES = ("labels", "ablation", "health")
MAX_FEATURES = 32

FIELDS = {
    "study": Field(str, choices=(*WHOLE_RUN_STUDIES, "neuron", "passages", "distributions", "snapshot", "places")),
    "start": Field(bool, default=False),
    "keep": Field(bool, default=False),
    "layer": Field(str, default="layer0"),
    "signal": Field(str, default="h"),
    "neuron": Field(int, default=0),
    "features": Field(str, default=(), is_list=True, max_items=MAX_FEATURES),
    "at": Field(str, default=""),
    "text": Field(str, default=""),
    "first": Field(int, default=0),
    "last": Field(int, default=0),
    "threshold": Field(float, default=None, nullable=True),
}


@dataclass(frozen=True)
class StudyRequest:
    """A request for a study.

    Attributes:
        study: "labels", "ablation" or "health" of the whole run; "neuron": one neuron; "passages": its passages alone;
            "distributions": histograms of all signals of a layer; "snapshot": all neurons at one symbol of each
            sequence; "places": other places where the neurons are on that are on in a range of a text and off around
            it.
        start: whether to start the study. If false, only cached or running results are returned.
        keep: whether to save the tables of a whole run in the run directory, where the command line finds them.
        layer: the layer of the neuron or neurons.
        signal: the signal of the neuron or neurons.
        neuron: the neuron.
        features: names of features for which the effect of the neuron is measured separately.
        at: the symbol of "snapshot", or the number of the step behind a "#"; empty for the best marker.
        text: the text of "places".
        first: the first step of the range, counted over all sequences.
        last: the last step of the range.
        threshold: the value from which on a neuron counts as on; None: the largest one at which a neuron is found.
    """

    study: str
    start: bool = False
    keep: bool = False
    layer: str = "layer0"
    signal: str = "h"
    neuron: int = 0
    features: tuple[str, ...] = ()
    at: str = ""
    text: str = ""
    first: int = 0
    last: int = 0
    threshold: float | None = None

    @classmethod
    def from_json(cls, data: Any) -> StudyRequest:
        """Parse a request.

        Raises:
            RequestError: a field is missing, unknown or has an impossible value.
        """
        return cls(**parse_request("study", data, FIELDS))

    @property
    def is_of_whole_run(self) -> bool:
        """Whether the study is about every neuron of the run."""
        return self.study in WHOLE_RUN_STUDIES

    @property
    def key(self) -> Hashable:
        """A value that is equal for requests with the same answer."""
        return self.study if self.is_of_whole_run else replace(self, start=True)
