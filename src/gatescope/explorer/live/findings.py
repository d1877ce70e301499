"""The part of a live file that only Python can compute: tables of studies, features and targets of the examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from safetensors.numpy import load

from gatescope.errors import GatescopeError
from gatescope.explorer.live.tensor_bytes import tensor_bytes
from gatescope.explorer.main_signal import main_signal
from gatescope.explorer.memory import Memory
from gatescope.explorer.neuron_study import describe_neuron
from gatescope.explorer.recorder import Recorder
from gatescope.explorer.studies import saved_tables
from gatescope.explorer.study_request import WHOLE_RUN_STUDIES
from gatescope.explorer.study_text import StudyText
from gatescope.explorer.tracks import MAX_FEATURES, Tracks
from gatescope.messages import Message
from gatescope.recording import record
from gatescope.runs import Run
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import Table
from gatescope.studies.health import saturation
from gatescope.tasks import Task

PASSAGES = range(1, 5)  # by default, of each neuron and end: the fewer, the more neurons there are
PASSAGES_OF_RUN = 128  # of all its neurons, as far as PASSAGES allows
VALUE_DIGITS = 4  # of the values of a neuron around a passage, which are drawn but not computed with
MAX_NEURONS = 512  # of a run; passages of a larger network are left out


def study_text(run: Run) -> StudyText | None:
    """Return the held-out text of a run, recorded; None if the run has no weights or its text is gone."""
    try:
        return StudyText(run)
    except GatescopeError:
        return None


def studies(run: Run, text: StudyText | None, max_passages: int | None) -> Iterator[dict[str, Any]]:
    """Yield the studies of a run with their results: saved tables, health, and the passages of every neuron.

    Args:
        run: the run.
        text: its held-out text; None to leave out what is computed from it.
        max_passages: the number of passages of a neuron with its largest values, and of those with its smallest. None:
            4 in a network of up to 32 neurons, fewer in larger ones, 1 from 128 neurons on.
    """
    saved = {study: tables for study in WHOLE_RUN_STUDIES if (tables := saved_tables(run, study)) is not None}
    if text is not None and "health" not in saved:
        with suppress(GatescopeError):
            saved["health"] = {"health": text.health, "saturation": saturation(text.trace)}
    for study, tables in saved.items():
        yield _study({"study": study}, {name: table.to_json() for name, table in tables.items()})
    configuration = run.configuration()
    neurons = sum(layer.neurons for layer in configuration.layers)
    if max_passages is None:
        max_passages = min(PASSAGES[-1], max(PASSAGES[0], PASSAGES_OF_RUN // neurons))
    if text is None or max_passages < 1 or neurons > MAX_NEURONS:
        return
    ablation = saved.get("ablation", {}).get("ablation")
    for name, layer in zip(configuration.names, configuration.layers, strict=True):
        signal = main_signal(layer.cell, configuration)
        for neuron in range(layer.neurons):
            answer = describe_neuron(text, name, signal, neuron, max_passages)
            for passage in (*answer["most"], *answer["least"]):
                passage["values"] = [float(f"{value:.{VALUE_DIGITS}g}") for value in passage["values"]]
            answer["effect"] = _effect(ablation, name, neuron).to_json()
            yield _study({"study": "neuron", "layer": name, "signal": signal, "neuron": neuron}, answer)


def _study(request: dict[str, Any], result: Any) -> dict[str, Any]:
    return {"request": request, "result": result, "stale": False}


def _effect(ablation: Table | None, layer: str, neuron: int) -> Table:
    """Return the rows of a neuron in the saved table of all effects."""
    if ablation is None:
        return Table({}, {}, {"problem": str(Message("LIVE_EFFECT_UNKNOWN"))})
    return ablation.where(layer=layer, neuron=neuron)


def features(run: Run, examples: Sequence[str], labels: Table | None) -> Iterator[tuple[str, bytes]]:
    """Yield each example with its features in the layout of the page's request: those of labels, then others.

    Args:
        run: the run.
        examples: the texts.
        labels: the labels of its neurons; None without labels.
    """
    memory = Memory()
    tracks = Tracks(Recorder(memory), memory)
    first = list(dict.fromkeys(map(str, labels["feature"]))) if labels is not None else []
    for text in examples:
        try:
            known = _metadata(tracks.answer(run, {"text": text, "features": []}))["features"]
            names = [name for feature in known for name in _names_of(feature)]
            chosen = list(dict.fromkeys([*first, *names]))[:MAX_FEATURES]
            answer = tracks.answer(run, {"text": text, "features": chosen})
        except GatescopeError:
            continue
        present = [feature for feature in _metadata(answer)["found"] if feature is not None]
        arrays = load(answer)
        places = [str(k) for k in sorted(map(int, arrays))]
        listed = [{**feature, "categories": []} for feature in present]
        yield (
            text,
            tensor_bytes(
                {str(k): arrays[place] for k, place in enumerate(places)},
                {"features": json.dumps(listed), "found": json.dumps(present)},
            ),
        )


def _names_of(feature: dict[str, Any]) -> list[str]:
    """Return the names by which a feature is requested: one for each of its categories."""
    if feature["kind"] != "category":
        return [feature["name"]]
    return [f"{feature['name']}={category}" for category in feature["categories"]]


def _metadata(answer: bytes) -> dict[str, Any]:
    length = int.from_bytes(answer[:8], "little")
    return {name: json.loads(value) for name, value in json.loads(answer[8 : 8 + length])["__metadata__"].items()}


def targets(run: Run, task: Task, examples: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the targets of each example, for networks that predict classes or numbers.

    Args:
        run: the run.
        task: its task.
        examples: the texts.
    """
    configuration = run.configuration()
    if configuration.readout.kind == "symbols":
        return
    network, _ = run.network()
    for text in examples:
        try:
            trace = record(network, text, drives=False, answers=task.answers)
        except GatescopeError:
            continue
        if configuration.readout.kind == "classes":
            yield {"text": text, "target": Steps(trace).of_step("target").tolist()}
        else:
            rows = Steps(trace).of_step("value").astype(np.float32)
            yield {"text": text, "value": [[float(f"{number:.9g}") for number in row] for row in rows]}
