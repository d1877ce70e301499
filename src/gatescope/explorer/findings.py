"""What the page asks of a run's neurons: labels, effects, health, one neuron's passages, and places like another.

Everything is measured on a part of what the run's task keeps from training. The answers of the long questions are kept
in the run directory, where the command line finds them, and the other way round.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gatescope.configuration import Configuration
from gatescope.errors import GatescopeError
from gatescope.explorer.costs import (
    megabytes,
    most_steps,
    recording_bytes,
    size_of,
    trace_bytes,
    weight_bytes,
    with_network,
)
from gatescope.explorer.jobs import PATIENCE, Job, Jobs, Tell
from gatescope.explorer.memory import STUDY_BYTES, Memory
from gatescope.explorer.recorder import Recorder, stamp_of, weights_stamp
from gatescope.explorer.requests import RequestError, quoted
from gatescope.explorer.tracks import FEATURE_BYTES
from gatescope.features import Feature, features_named
from gatescope.runs import STUDIES, Run
from gatescope.studies.ablation import ablation
from gatescope.studies.common.arrays import around, check_neuron
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.subjects import Subject, features_of, load, newer_version, save, subject, weights_mark
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.health import health, saturation
from gatescope.studies.labels import TITLES as LABELS
from gatescope.studies.labels import Search, labels
from gatescope.studies.passages import distribution, passages
from gatescope.studies.patterns import matches, neurons_on
from gatescope.tasks.base.strings import StringTask
from gatescope.trace import Trace

CHARACTERS = 20_000  # of a text that is not a task's strings
STRINGS = 4_000
LEAST_STEPS = 50  # with fewer, nothing can be said about a neuron
COPIES_OF_TRACE = 2  # besides the trace: what the studies of all neurons make of it, in pieces
EFFORT = 2_500_000  # steps that are run again without a neuron, all neurons together
CHANCES = 4_000  # scores of shifted features: enough for a few hundred neurons
PASSAGES = 8
CONTEXT = 28  # steps beside the place of a passage
WARM = 400  # steps before a place from which on it is read again, so that the state is nearly the one it was
AFTER = 120
PLACES = 40
SHARE = 0.6  # of a pattern's neurons that are on together in another place
DRAWS = 400
LONG = ("labels", "ablation", "health")


@dataclass(frozen=True)
class Question:
    """What the page asks.

    Attributes:
        study: "labels", "ablation" or "health", of the whole run; "neuron": one neuron; "places": where the neurons
            that are on in a range of a text, and off around it, are on again.
        start: whether it may be begun now; if not, only what is known or under way is told.
        keep: whether the answer of a study of the whole run is written into the run directory, where the command line
            finds it; otherwise nothing is written.
        layer, signal, neuron: of which neuron, or of the neurons of which layer.
        features: names, by which the effect of a neuron is told apart.
        text, first, last: a text, and a range of its steps, all sequences one after the other.
        threshold: from which value on a neuron is on.
    """

    study: str
    start: bool = False
    keep: bool = False
    layer: str = "layer0"
    signal: str = "h"
    neuron: int = 0
    features: tuple[str, ...] = ()
    text: str = ""
    first: int = 0
    last: int = 0
    threshold: float = 0.3

    KINDS: ClassVar[dict[str, Any]] = {
        "study": str,
        "start": bool,
        "keep": bool,
        "layer": str,
        "signal": str,
        "neuron": int,
        "text": str,
        "first": int,
        "last": int,
        "threshold": (int, float),
    }

    @classmethod
    def from_json(cls, data: Any) -> Question:
        """A question as the page sends it.

        Raises:
            RequestError: a field is missing, unknown or of the wrong kind.
        """
        if not isinstance(data, dict) or data.get("study") not in (*LONG, "neuron", "places"):
            raise RequestError("FINDINGS_STUDY_ASKED_NAME", value=", ".join((*LONG, "neuron", "places")))
        if unknown := sorted(set(data) - {*cls.KINDS, "features"}):
            raise RequestError("FINDINGS_STUDY_FIELD", map=", ".join(map(quoted, unknown[:9])))
        for name, kind in cls.KINDS.items():
            value = data.get(name)
            if name in data and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
                raise RequestError("FINDINGS_STUDY", name=name, value=quoted(value))
        names = data.get("features", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > 32:
            raise RequestError("FINDINGS_FEATURES_STUDY_LIST_MOST")
        threshold = data.get("threshold", 0.0)
        # An integer can be too large for a float.
        if not (math.isfinite(threshold) if isinstance(threshold, float) else abs(threshold) < 1 << 1000):
            raise RequestError("FINDINGS_THRESHOLD_STUDY_FINITE_NUMBER")
        return cls(**{**data, "features": tuple(names)})

    @property
    def key(self) -> Hashable:
        """The same for the same question."""
        return self.study if self.study in LONG else replace(self, start=True)


class Material:
    """A network on a text that it was not trained on.

    Attributes:
        subject: both.
        trace: every signal on it.
        stamp: of the weights.
        mark: what `load` knows the weights by.
    """

    def __init__(self, run: Run) -> None:
        self.stamp = weights_stamp(run)
        self.mark = weights_mark(run) if self.stamp else ""
        most = STRINGS if isinstance(run.task(), StringTask) else CHARACTERS
        self.subject: Subject = subject(run, characters=characters_within(run.configuration(), most))
        with self.subject.trace() as trace:
            self.trace: Trace = trace

    @property
    def nbytes(self) -> int:
        """The bytes that it holds."""
        configuration = self.subject.network.configuration
        steps = int(np.prod(self.trace.steps["token"].shape))
        return weight_bytes(configuration) + trace_bytes(configuration, steps) + FEATURE_BYTES * steps

    @cached_property
    def features(self) -> list[Feature]:
        """Return the features of the text at every place."""
        return features_of(self.subject, self.trace)

    @cached_property
    def health(self) -> Table:
        """Return the health of every neuron."""
        return health(self.trace)

    def few(self, neurons: int) -> tuple[str, int]:
        """A part of the text on which so many neurons can be held still in a few seconds, and its steps."""
        vocabulary = self.subject.network.configuration.vocabulary
        wanted = max(1000, EFFORT // max(1, neurons))
        text = self.subject.text
        if vocabulary.unit == "number":
            part = "".join(text.splitlines(keepends=True)[:wanted])
        elif vocabulary.end is None and vocabulary.in_words:
            spans = vocabulary.spans(text)[:wanted]
            part = text[: int(spans[-1, 1])] if len(spans) else ""
        elif vocabulary.end is None:
            part = text[:wanted]
        else:
            ended = [string + vocabulary.end for string in text.split(vocabulary.end) if string]
            sizes = np.cumsum([len(string) for string in ended])
            part = "".join(ended[: int(np.searchsorted(sizes, wanted)) + 1])
        return part, len(vocabulary.labels(part))


def characters_within(configuration: Configuration, most: int) -> int:
    """How many characters of a text can be studied within STUDY_BYTES, at most `most`.

    Raises:
        RequestError: too few, because the network is too large.
    """

    def cost(steps: int) -> int:
        recorded = recording_bytes(configuration, 1, steps) + COPIES_OF_TRACE * trace_bytes(configuration, steps)
        return with_network(configuration, recorded + FEATURE_BYTES * steps)

    possible = most_steps(cost, STUDY_BYTES, most)
    if possible < LEAST_STEPS:
        raise RequestError(
            "FINDINGS_STUDY_TAKES_PAGE_MAY",
            status=413,
            size_of=size_of(configuration),
            megabytes=megabytes(STUDY_BYTES),
        )
    return possible


class Studies:
    """Answers questions, one after the other, and keeps what it found."""

    def __init__(self, recorder: Recorder, memory: Memory) -> None:
        self._recorder, self._memory = recorder, memory
        self._jobs = Jobs()

    def answer(self, run: Run, asked: Question) -> bytes:
        """How far the answer is, or the answer, as JSON.

        `{"state": "none"}` where it was not begun, with "problem" where a newer version wrote an answer; "working" with
        "doing", "done" and "total"; "failed" with "error"; "done" with "result", and "stale", which says that the
        weights have changed since.
        """
        key = (run.path.resolve(), asked.key)
        stamp = _stamp(run, asked.study)
        job = self._jobs.known(key)
        if job is None or (job.is_over and (job.stamp != stamp or job.state == "failed")):
            job = self._kept(key, run, asked.study, stamp) or job
        stale = job is not None and job.is_over and (job.state == "failed" or job.stamp != stamp)
        if asked.start and (job is None or stale):
            job = self._jobs.begin(key, lambda tell: self._work(run, asked, tell), long=asked.study in LONG)
        if job is None:
            problem = next(filter(None, (newer_version(run, name) for name in _NAMES.get(asked.study, ()))), None)
            return json.dumps({"state": "none"} | ({"problem": str(problem)} if problem else {})).encode("ascii")
        job.ended.wait(PATIENCE)
        return job.to_json(_stamp(run, asked.study))

    def _kept(self, key: Hashable, run: Run, study: str, stamp: Hashable) -> Job | None:
        """The answer in the run directory, where there is one of the present weights."""
        if study not in LONG:
            return None
        tables = {name: load(run, name) for name in _NAMES[study]}
        if any(table is None or not _fits(table, name) for name, table in tables.items()):
            return None
        return self._jobs.put(key, {name: _json(table) for name, table in tables.items()}, stamp)

    def _work(self, run: Run, asked: Question, tell: Tell) -> tuple[Any, Hashable]:
        material = self._material(run, tell)
        if asked.study == "neuron":
            return _neuron(material, asked, tell), (material.stamp,)
        if asked.study == "places":
            return self._places(run, material, asked, tell), (material.stamp,)
        tables = _WHOLE[asked.study](material, tell)
        # A network that learned on meanwhile has other weights than those that this is about.
        if asked.keep and weights_mark(run) == material.mark:
            # Where it cannot be written, it is found out anew next time.
            with suppress(GatescopeError):
                for name, table in tables.items():
                    if newer_version(run, name) is None:
                        save(run, name, table)
        answer = {name: _json(table) for name, table in tables.items()}
        return answer, (material.stamp, *_stamp(run, asked.study)[1:])

    def _material(self, run: Run, tell: Tell) -> Material:
        tell("reading a text that it was not trained on", 0, 0)
        key = ("material", run.path.resolve(), weights_stamp(run))
        material: Material | None = self._memory.cached(key)
        if material is None:
            material = Material(run)
            self._memory.keep(key, material, material.nbytes)
        return material

    def _places(self, run: Run, material: Material, asked: Question, tell: Tell) -> dict[str, Any]:
        """Where else the neurons are on that are on in a range of the page's text."""
        with self._recorder.recorded(run, asked.text) as recorded:
            return self._places_of(material, asked, recorded.trace, tell)

    def _places_of(self, material: Material, asked: Question, shown: Trace | None, tell: Tell) -> dict[str, Any]:
        steps = 0 if shown is None else int(np.sum(shown.lengths))
        if shown is None or not 0 <= asked.first <= asked.last < steps:
            raise RequestError("FINDINGS_TEXT_STEPS_RANGE", steps=steps, first=asked.first, last=asked.last)
        starts = Steps(shown).starts
        sequence = int(np.searchsorted(starts, asked.first, side="right")) - 1
        if asked.last >= starts[sequence + 1]:
            raise RequestError("FINDINGS_RANGE_GOES_OVER_END")
        low = shown.attributes["layers"].get(asked.layer, {}).get("arrays", {}).get(asked.signal, {}).get("range")
        first, last = asked.first - int(starts[sequence]), asked.last - int(starts[sequence])
        sign = "positive" if (low and low[0] is not None and low[0] >= 0) or asked.threshold <= 0 else "both"
        found = neurons_on(shown, asked.layer, sequence, first, last, asked.threshold, signal=asked.signal, sign=sign)
        answer: dict[str, Any] = {"neurons": _json(found), "places": [], "runs": 0, "needed": 0}
        answer["characters"] = len(material.subject.text)
        if not len(found):
            return answer
        tell("looking for places like this one", 0, 0)
        where = self._own_place(material, shown, sequence, first, last)
        other = Table(found.columns, found.titles, {**found.about, **where})
        there = matches(material.trace, other, share=SHARE, count=PLACES, context=CONTEXT)
        rows = [{**row, **_again(material.trace, row["sequence"], row["first"], row["last"])} for row in there]
        return answer | {"places": rows, "runs": there.about["runs"], "needed": there.about["needed"]}

    def _own_place(self, material: Material, shown: Trace, sequence: int, first: int, last: int) -> dict[str, int]:
        """Where the range lies in the studied text, so that it is not found again; behind its end where it does not."""
        text, there = shown.text(sequence), Steps(material.trace)
        texts = there.texts()
        if text in texts:
            return {"sequence": texts.index(text), "first": first, "last": last}
        if len(texts) == 1 and not material.trace.vocabulary.bytes:
            at = texts[0].find(text)
            if at >= 0 and len(text) > last - first + 1:
                return {"sequence": 0, "first": at + first, "last": at + last}
        return {"sequence": 0, "first": len(there), "last": len(there) + last - first}


def _stamp(run: Run, study: str) -> tuple[Hashable, ...]:
    """What changes when an answer may have."""
    files = tuple(stamp_of(run.path / STUDIES / f"{name}.json") for name in _NAMES.get(study, ()))
    return (weights_stamp(run), *files)


def _labels(material: Material, tell: Tell) -> dict[str, Table]:
    """The features that each neuron follows."""

    def progress(done: int, total: int) -> None:
        if done < total:
            tell("comparing every neuron with every feature", done, total)
        else:
            tell("choosing thresholds", 0, 0)

    return {"labels": labels(material.trace, material.features, search=Search(chances=CHANCES), progress=progress)}


def _ablation(material: Material, tell: Tell) -> dict[str, Table]:
    """The loss without each neuron."""
    network = material.subject.network
    count = sum(layer.neurons for layer in network.configuration.layers)
    text, _ = material.few(count)

    def progress(done: int, total: int) -> None:
        tell("holding one neuron after the other still", round(count * done / max(1, total)), count)

    table = ablation(network, text, answers=material.subject.task.answers, draws=DRAWS, progress=progress)
    return {"ablation": Table(table.columns, table.titles, {**table.about, "characters": len(text)})}


def _health(material: Material, tell: Tell) -> dict[str, Table]:
    """Saturated, dead and duplicate neurons."""
    tell("looking at every gate", 0, 0)
    return {"health": material.health, "saturation": saturation(material.trace)}


def _neuron(material: Material, asked: Question, tell: Tell) -> dict[str, Any]:
    """Where one neuron is most and least active, which values it takes, and what the network loses without it."""
    trace, layer = material.trace, asked.layer
    check_neuron(trace, layer, asked.signal, asked.neuron)
    tell("looking for its passages", 0, 0)
    found: dict[str, Any] = {"steps": int(np.sum(trace.lengths)), "characters": len(material.subject.text)}
    for name in ("most", "least"):
        table = passages(
            trace,
            layer,
            asked.signal,
            asked.neuron,
            count=PASSAGES,
            context=CONTEXT,
            least=name == "least",
            apart=4 * CONTEXT,
        )
        found[name] = [{**row, **_again(trace, row["sequence"], row["step"], row["step"])} for row in table]
    histogram = distribution(trace, layer, asked.signal, asked.neuron)
    found["histogram"] = _json(histogram)
    row = next(iter(material.health.where(layer=layer, neuron=asked.neuron)))
    found["health"] = {name: _number(value) for name, value in row.items()}
    tell("holding it still", 0, 0)
    found["effect"] = _json(_effect(material, layer, asked.neuron, asked.features))
    return found


def _effect(material: Material, layer: str, neuron: int, features: Sequence[str]) -> Table:
    """The change of the loss without one neuron, everywhere and where some features are on."""
    network = material.subject.network
    text, steps = material.few(EFFORT // 8_000)
    known = features_named(material.features, features)
    parts = [replace(one, values=one.values[:steps]) for one in known if one is not None and one.kind == "binary"]
    answers = material.subject.task.answers
    try:
        return ablation(network, text, layer, "h", answers=answers, neurons=[neuron], features=parts, draws=DRAWS)
    except StudyError as error:  # of an adopted network nobody may know what it should say; the rest is known
        return Table({}, {}, {"problem": str(error)})


def _again(trace: Trace, sequence: int, first: int, last: int) -> dict[str, Any]:
    """A text in which a place can be looked at, and where in it the place lies."""
    length = int(trace.lengths[sequence])
    begin, end = max(0, first - WARM), min(length - 1, last + AFTER)
    if trace.vocabulary.unit == "number":
        text = "\n".join(trace.vocabulary.labels(np.asarray(trace.steps["input"][sequence, begin : end + 1]))) + "\n"
        return {"text": text, "from": first - begin, "to": last - begin}
    _, text, _ = around(trace, sequence, begin, end, 0)
    before = around(trace, sequence, begin, max(begin, first - 1), 0)[1] if first > begin else ""
    start = len(trace.vocabulary.labels(before)) if before else 0
    return {"text": text, "from": start, "to": start + last - first}


def _json(table: Table | None) -> dict[str, Any]:
    assert table is not None
    return table.to_json()


def _number(value: Any) -> Any:
    """A number that JSON can write: an infinite one in words."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "infinite"
    return value


def _fits(table: Table | None, name: str) -> bool:
    """Whether a table from the disk has the columns that the page reads, with numbers where it expects them."""
    if table is None or not set(_COLUMNS[name]) <= set(table.columns):
        return False
    return not len(table) or all(table[column].dtype.kind in kind for column, kind in _COLUMNS[name].items())


_NUMBERS, _WORDS = "iuf", "O"
_COLUMNS: dict[str, dict[str, str]] = {
    "labels": {
        **dict.fromkeys(("layer", "signal", "feature", "title", "measure"), _WORDS),
        **dict.fromkeys(("neuron", "place", "lag", "direction"), "iu"),
        "score": _NUMBERS,
    },
    "ablation": {"layer": _WORDS, "feature": _WORDS, "neuron": "iu"}
    | dict.fromkeys(("on", "on_low", "on_high"), _NUMBERS),
    "health": {"layer": _WORDS, "neuron": "iu", "verdict": _WORDS, "twin": "iu"},
    "saturation": {"layer": _WORDS, "gate": _WORDS, "neuron": "iu", "left": _NUMBERS, "right": _NUMBERS},
}
_NAMES = {"labels": ("labels",), "ablation": ("ablation",), "health": ("health", "saturation")}
_WHOLE = {"labels": _labels, "ablation": _ablation, "health": _health}
assert set(_COLUMNS["labels"]) <= set(LABELS)
