"""Studies of a run for the page: labels, ablation and health of all neurons, one neuron, and similar places.

Every study uses a part of the held-out text of the run's task. Tables of whole runs can be saved in the
run directory, where the command line finds them, and the page shows the tables that the command line has saved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

from gatescope.errors import GatescopeError
from gatescope.explorer.distribution_study import study_distributions
from gatescope.explorer.jobs import ANSWER_WAIT_SECONDS, Job, Jobs, Report
from gatescope.explorer.memory import Memory
from gatescope.explorer.neuron_study import DRAWS, study_neuron, study_passages
from gatescope.explorer.places import study_places
from gatescope.explorer.recorder import Recorder, file_stamp, weights_stamp
from gatescope.explorer.snapshot_study import study_snapshot
from gatescope.explorer.study_request import StudyRequest
from gatescope.explorer.study_text import StudyText
from gatescope.runs import STUDIES, Run
from gatescope.studies.ablation import ablation
from gatescope.studies.common.subjects import load, newer_version, save
from gatescope.studies.common.table import Table
from gatescope.studies.health import saturation
from gatescope.studies.labels import Search, labels

ABLATED_STEPS = 2_500_000  # of all ablated neurons together
MIN_ABLATED_STEPS = 1000  # of each ablated neuron
MOVED_SCORES = 1_000  # of moved signals, with which labels are compared


class Studies:
    """Runs studies one after the other in the background, and caches their answers."""

    def __init__(self, recorder: Recorder, memory: Memory) -> None:
        self._recorder, self._memory = recorder, memory
        self._jobs = Jobs()

    def answer(self, run: Run, request: StudyRequest) -> bytes:
        """Return the state of a study as JSON, and its result if it is done.

        Returns:
            `{"state": "none"}` if the study was not started, with "problem" if a newer version saved its tables;
            "working" with "doing", "done" and "total"; "failed" with "error"; "done" with "result" and "stale", which
            is true if the weights have changed since.
        """
        key = (run.path.resolve(), request.key)
        stamp = _stamp(run, request.study)
        job = self._jobs.find(key)
        if job is None or (job.is_over and (job.stamp != stamp or job.state == "failed")):
            job = self._saved_job(key, run, request, stamp) or job
        is_outdated = job is not None and job.is_over and (job.state == "failed" or job.stamp != stamp)
        if request.start and (job is None or is_outdated):
            job = self._jobs.begin(
                key, lambda report: self._compute(run, request, report), long=request.is_of_whole_run
            )
        if job is None:
            problem = next(filter(None, (newer_version(run, name) for name in _TABLES.get(request.study, ()))), None)
            return json.dumps({"state": "none"} | ({"problem": str(problem)} if problem else {})).encode("ascii")
        job.ended.wait(ANSWER_WAIT_SECONDS)
        return job.to_json(_stamp(run, request.study))

    def _saved_job(self, key: Hashable, run: Run, request: StudyRequest, stamp: Hashable) -> Job | None:
        """Return the answer that is saved in the run directory for the present weights, if there is one."""
        tables = saved_tables(run, request.study) if request.is_of_whole_run else None
        if tables is None:
            return None
        return self._jobs.put(key, {name: table.to_json() for name, table in tables.items()}, stamp)

    def _compute(self, run: Run, request: StudyRequest, report: Report) -> tuple[Any, Hashable]:
        """Return the answer as JSON values, and the stamp of the weights and saved tables that it belongs to."""
        text = self._study_text(run, report)
        if request.study in _TEXT_STUDIES:
            return _TEXT_STUDIES[request.study](text, request, report), (text.stamp,)
        if request.study == "places":
            with self._recorder.recorded(run, request.text) as recorded:
                return study_places(text, request, recorded.trace, report), (text.stamp,)
        tables = _WHOLE_RUN_STUDIES[request.study](text, report)
        # If training has changed the weights meanwhile, the tables belong to other weights and are not saved.
        if request.keep and run.weights_mark() == text.mark:
            with suppress(GatescopeError):  # a table that cannot be saved is computed again next time
                for name, table in tables.items():
                    if newer_version(run, name) is None:
                        save(run, name, table)
        answer = {name: table.to_json() for name, table in tables.items()}
        return answer, (text.stamp, *_stamp(run, request.study)[1:])

    def _study_text(self, run: Run, report: Report) -> StudyText:
        """Return the held-out text of a run, recorded with its present weights."""
        report("DOING_READING_TEXT", 0, 0)
        key = ("study text", run.path.resolve(), weights_stamp(run))
        text: StudyText | None = self._memory.cached(key)
        if text is None:
            text = StudyText(run)
            self._memory.keep(key, text, text.nbytes)
        return text


def find_labels(run: Run, report: Report) -> Table | None:
    """Find the labels of a run as the page does, and save them in the run, unless they are saved for its weights.

    Args:
        run: the run.
        report: called with the progress; an exception of it ends the search, and nothing is saved.

    Returns:
        The labels; None if a newer version saved some, or the weights have changed meanwhile.

    Raises:
        GatescopeError: the run cannot be read, its text is gone or too short, or the labels cannot be saved.
    """
    saved = saved_tables(run, "labels")
    if saved is not None:
        return saved["labels"]
    if newer_version(run, "labels") is not None:
        return None
    text = StudyText(run)
    table = _study_labels(text, report)["labels"]
    if run.weights_mark() != text.mark:
        return None
    save(run, "labels", table)
    return table


def saved_tables(run: Run, study: str) -> dict[str, Table] | None:
    """Return the tables of a study that are saved in the run directory; None if they are not for the present weights.

    Args:
        run: the run.
        study: "labels", "ablation" or "health".
    """
    tables = {}
    for name in _TABLES[study]:
        table = load(run, name)
        if table is None or not _has_columns_of_page(table, name):
            return None
        tables[name] = table
    return tables


def _stamp(run: Run, study: str) -> tuple[Hashable, ...]:
    """Return a value that changes with the weights and with the saved tables of a study."""
    files = tuple(file_stamp(run.path / STUDIES / f"{name}.json") for name in _TABLES.get(study, ()))
    return (weights_stamp(run), *files)


def _study_labels(text: StudyText, report: Report) -> dict[str, Table]:
    """Return the features that each neuron follows."""

    def progress(done: int, total: int) -> None:
        if done < total:
            report("DOING_COMPARING", done, total)
        else:
            report("DOING_THRESHOLDS", 0, 0)

    return {"labels": labels(text.trace, text.features, search=Search(chances=MOVED_SCORES), progress=progress)}


def _study_ablation(text: StudyText, report: Report) -> dict[str, Table]:
    """Return the loss without each neuron."""
    network = text.subject.network
    neurons = sum(layer.neurons for layer in network.configuration.layers)
    part, _ = text.beginning(max(MIN_ABLATED_STEPS, ABLATED_STEPS // max(1, neurons)))

    def progress(done: int, total: int) -> None:
        report("DOING_ABLATING", round(neurons * done / max(1, total)), neurons)

    table = ablation(network, part, answers=text.subject.task.answers, draws=DRAWS, progress=progress)
    return {"ablation": Table(table.columns, table.titles, {**table.about, "characters": len(part)})}


def _study_health(text: StudyText, report: Report) -> dict[str, Table]:
    """Return saturated, idle and duplicate neurons."""
    report("DOING_MEASURING", 0, 0)
    return {"health": text.health, "saturation": saturation(text.trace)}


def _has_columns_of_page(table: Table, name: str) -> bool:
    """Return whether a saved table has the columns and the types that the page reads."""
    if not set(_COLUMNS[name]) <= set(table.columns):
        return False
    return not len(table) or all(table[column].dtype.kind in kinds for column, kinds in _COLUMNS[name].items())


_INTEGERS, _NUMBERS, _TEXTS = "iu", "iuf", "O"  # kinds of NumPy dtypes
_COLUMNS: dict[str, dict[str, str]] = {
    "labels": {
        **dict.fromkeys(("layer", "signal", "feature", "title", "measure"), _TEXTS),
        **dict.fromkeys(("neuron", "place", "lag", "direction"), _INTEGERS),
        "score": _NUMBERS,
    },
    "ablation": {"layer": _TEXTS, "feature": _TEXTS, "neuron": _INTEGERS}
    | dict.fromkeys(("on", "on_low", "on_high"), _NUMBERS),
    "health": {"layer": _TEXTS, "neuron": _INTEGERS, "findings": _TEXTS, "twin": _INTEGERS},
    "saturation": {"layer": _TEXTS, "gate": _TEXTS, "neuron": _INTEGERS, "left": _NUMBERS, "right": _NUMBERS},
}
_TABLES = {"labels": ("labels",), "ablation": ("ablation",), "health": ("health", "saturation")}
_TEXT_STUDIES: dict[str, Callable[[StudyText, StudyRequest, Report], dict[str, Any]]] = {
    "neuron": study_neuron,
    "passages": study_passages,
    "distributions": study_distributions,
    "snapshot": study_snapshot,
}
_WHOLE_RUN_STUDIES: dict[str, Callable[[StudyText, Report], dict[str, Table]]] = {
    "labels": _study_labels,
    "ablation": _study_ablation,
    "health": _study_health,
}
