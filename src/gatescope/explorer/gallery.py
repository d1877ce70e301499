"""Summaries and details of runs for the page. A summary is cached until the files of its run change."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gatescope.cells import Cell
from gatescope.configuration import Layer
from gatescope.errors import GatescopeError
from gatescope.explorer.findings.answers import findings_stamp
from gatescope.explorer.findings.samples import MAX_SAMPLES
from gatescope.explorer.networks import stamp_text
from gatescope.explorer.recorder import file_stamp, weights_stamp
from gatescope.explorer.requests import RequestError
from gatescope.messages import Message
from gatescope.messages.languages import LANGUAGES, in_language, language
from gatescope.readout import SYMBOLS
from gatescope.recording import arrays_of
from gatescope.runs import HISTORY, SAMPLES, STUDIES, WEIGHTS, Run, find_runs
from gatescope.runs.run_findings import FINDINGS as STARRED
from gatescope.runs.states import is_new
from gatescope.runs.tags import TAGS
from gatescope.runs.tensors import stored_step
from gatescope.tasks import Task
from gatescope.tasks.adopted import Adopted
from gatescope.training import Settings, stored_settings

SIGNAL_MEANINGS = {
    "input gate": "SIGNAL_INPUT_GATE",
    "forget gate": "SIGNAL_FORGET_GATE",
    "output gate": "SIGNAL_OUTPUT_GATE",
    "candidate": "SIGNAL_CANDIDATE",
    "candidate state": "SIGNAL_CANDIDATE",
    "cell state": "SIGNAL_CELL_STATE",
    "hidden state": "SIGNAL_HIDDEN_STATE",
    "update gate": "SIGNAL_UPDATE_GATE_OTHER",
    "reset gate": "SIGNAL_RESET_GATE",
}
"""The title of a signal in its cell -> the code of its explanation on the page."""

LABELS = f"{STUDIES}/labels.json"
MAX_HISTORY_RECORDS = 2000  # sent to the page; a longer history is thinned out evenly

Stamp = tuple[Any, ...]


class Gallery:
    """The runs in some folders, by name. A requested name is looked up and never joined to a path.

    Args:
        places: run directories and folders of runs.
        copies: a folder of runs that end with the explorer, such as those of a live file.
    """

    def __init__(self, places: list[Path], copies: Path | None = None) -> None:
        self._places, self._copies = places, copies
        self._summaries: dict[tuple[Path, str], tuple[Stamp, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def runs(self) -> dict[str, Run]:
        """Return name -> run. A second run of the same name gets a number."""
        runs: dict[str, Run] = {}
        for run in find_runs(self._places):
            name, number = run.name, 2
            while name in runs:
                name, number = f"{run.name} ({number})", number + 1
            runs[name] = run
        return runs

    def folders(self) -> list[Path]:
        """Return the folders of runs in which runs are renamed, deleted and adopted."""
        return [
            place for place in self._places if place.is_dir() and not Run(place).exists and not self._is_copy(place)
        ]

    def check_writable(self, run: Run) -> None:
        """Refuse to write in a run that ends with the explorer.

        Raises:
            RequestError: the run is a copy.
        """
        if self._is_copy(run.path):
            raise RequestError("ACT_RUN_IS_COPY", status=409, run=run.name)

    def check_movable(self, run: Run) -> None:
        """Refuse to rename or delete a run outside the folders that the explorer was started with.

        Raises:
            RequestError: the explorer was started with the run alone, whose folder is not its own.
        """
        if not any(run.path.parent == folder for folder in self.folders()):
            raise RequestError("ACT_RUN_ALONE", status=409, run=run.name)

    def name_of(self, path: Path) -> str:
        """Return the name of a run directory in the list."""
        return next((name for name, run in self.runs().items() if run.path == path), path.name)

    def _is_copy(self, path: Path) -> bool:
        return self._copies is not None and path.resolve().is_relative_to(self._copies.resolve())

    def summaries(self) -> list[dict[str, Any]]:
        """Return the summary of every run, the newest first."""
        with self._lock:
            runs = self.runs()
            summaries = [self._summary(name, run) for name, run in runs.items()]
        return sorted(summaries, key=lambda summary: (-summary["created"], summary["name"]))

    def _summary(self, name: str, run: Run) -> dict[str, Any]:
        files = ("network.json", HISTORY, WEIGHTS, LABELS, STARRED, TAGS)
        stamp = (name, run.is_training, is_new(run.path), *(file_stamp(run.path / file) for file in files))
        key = (run.path, language())
        cached = self._summaries.get(key)
        if cached is None or cached[0] != stamp:
            try:
                summary = summary_of(name, run)
                json.dumps(summary, allow_nan=False)
            except Exception as error:  # noqa: BLE001  one damaged run must not hide the other runs
                problem = str(Message("GALLERY_RUN_DAMAGED", run=run.path, reason=repr(error)))
                summary = empty_summary(name, run) | {"problem": problem}
            cached = (stamp, summary)
            self._summaries[key] = cached
        return cached[1]

    def details(self, name: str) -> dict[str, Any] | None:
        """Return everything the page shows of a run except traces; None if there is no such run."""
        run = self.runs().get(name)
        if run is None:
            return None
        with self._lock:
            summary = self._summary(name, run)
        if summary["state"] == "unreadable":
            return summary
        try:
            return summary | details_of(run)
        except GatescopeError as error:
            return empty_summary(name, run) | {"problem": str(error)}


def details_of(run: Run) -> dict[str, Any]:
    """Return what the page shows of a run besides its summary.

    Raises:
        GatescopeError: a file of the run cannot be read.
    """
    configuration, task = run.configuration(), run.task()
    history = [record for record in run.read(HISTORY) if "event" not in record]
    stride = -(-len(history) // MAX_HISTORY_RECORDS) or 1
    return {
        "layers": [
            layer_json(name, layer) for name, layer in zip(configuration.names, configuration.layers, strict=True)
        ],
        "vocabulary": list(configuration.vocabulary.symbols),
        "end": configuration.vocabulary.end,
        "examples": task.examples(),
        "history": [record for k, record in enumerate(history) if k % stride == 0 or "validation_loss" in record],
        "samples": run.read(SAMPLES)[-MAX_SAMPLES:],
        "checkpoints": run.checkpoints(),
        # As text: JavaScript reads no whole number of 64 bits.
        "seed": None if isinstance(task, Adopted) else str(stored_settings(run).seed),
    }


def empty_summary(name: str, run: Run) -> dict[str, Any]:
    """Return the summary of a run that cannot be read."""
    stamp = file_stamp(run.path / "network.json")
    return {
        "name": name,
        "state": "unreadable",
        "problem": None,
        "task": {"name": "", "title": "", "question": ""},
        "cell": {"name": "", "title": ""},
        "layers": [],
        "symbols": 0,
        "unit": "character",
        "readout": SYMBOLS.to_json(),
        "step": 0,
        "weights": False,
        "weights_step": None,
        "weights_bytes": 0,
        "weights_stamp": None,
        "findings_stamp": None,
        "labelled": False,
        "steps": None,
        "minutes": None,
        "progress": None,
        "seconds": 0.0,
        "loss": None,
        "validation_loss": None,
        "score": None,
        "baseline": None,
        "notes": [],
        "tags": [],
        "stars": 0,
        "created": stamp[0] / 1e9 if stamp else 0.0,
        "updated": 0.0,
        "example": "",
    }


def summary_of(name: str, run: Run) -> dict[str, Any]:
    """Return the summary of a run; for a run that cannot be read, it holds the error."""
    summary = empty_summary(name, run)
    try:
        configuration, task, settings = run.configuration(), run.task(), stored_settings(run)
        history = run.read(HISTORY)
    except GatescopeError as error:
        return summary | {"problem": str(error)}
    last = history[-1] if history else {}
    cells = {layer.cell.name: layer.cell.title for layer in configuration.layers}
    history_stamp, score = file_stamp(run.path / HISTORY), _latest(history, "score")
    weights = weights_stamp(run)
    return summary | {
        "state": run.state(last),
        "problem": last.get("problem"),
        "task": {"name": task.name, "title": task.title, "question": task.question},
        "cell": {"name": ", ".join(cells), "title": ", ".join(cells.values())},
        "layers": [
            {
                "cell": layer.cell.name,
                "neurons": layer.neurons,
                "reverse": layer.reverse,
                "stacked": layer.stacked,
            }
            for layer in configuration.layers
        ],
        "symbols": configuration.vocabulary.size,
        "unit": configuration.vocabulary.unit,
        "readout": configuration.readout.to_json(),
        "step": last.get("step") or 0,
        "weights": weights is not None,
        "weights_step": stored_step(run.path / WEIGHTS, run.path) if weights else None,
        "weights_bytes": weights[1] if weights else 0,
        "weights_stamp": stamp_text(weights),
        "findings_stamp": findings_stamp(run) if weights else None,
        "labelled": run.has_study("labels"),
        "steps": settings.steps,
        "minutes": settings.minutes,
        "progress": _progress(last, settings),
        "seconds": last.get("seconds") or 0.0,
        "loss": _latest(history, "loss"),
        "validation_loss": _latest(history, "validation_loss"),
        "score": with_translations(score),
        "baseline": _baseline(task, score),
        "notes": list(getattr(task, "notes", [])),
        "tags": _readable(run.tags),
        "stars": len(_readable(run.findings)),
        "updated": history_stamp[0] / 1e9 if history_stamp else summary["created"],
        "example": next(iter(task.examples()), ""),
    }


def _readable(read: Callable[[], list[Any]]) -> list[Any]:
    """Return what a person wrote in a run; nothing if it is damaged, which hides no run."""
    try:
        return read()
    except GatescopeError:
        return []


def with_translations(score: Any) -> Any:
    """Return a stored score with its sentence in the other languages, which the page chooses from."""
    message = Message.from_json(score.get("message")) if isinstance(score, dict) else None
    if message is None:
        return score
    texts = {}
    for code in LANGUAGES:
        with in_language(code):
            texts[code] = str(message)
    return {**score, "texts": texts}


def _progress(last: Mapping[str, Any], settings: Settings) -> float:
    if last.get("event") == "end" and last.get("reason") not in ("interrupted", "failed"):
        return 1.0
    steps, minutes = settings.steps, settings.minutes
    by_steps = (last.get("step") or 0) / steps if steps else 0.0
    by_clock = (last.get("seconds") or 0.0) / 60 / minutes if minutes else 0.0
    return min(1.0, max(by_steps, by_clock))


def _baseline(task: Task, score: Any) -> float | None:
    """Return the loss of predicting symbol frequencies alone, for an adopted network with a score."""
    chance = score.get("chance") if isinstance(task, Adopted) and isinstance(score, dict) else None
    return float(chance) if isinstance(chance, int | float) else None


def _latest(history: list[dict[str, Any]], key: str) -> Any:
    return next((record[key] for record in reversed(history) if record.get(key) is not None), None)


def layer_json(name: str, layer: Layer) -> dict[str, Any]:
    """Return a layer with the equations of its cell, as JSON values."""
    cell, about = layer.cell, arrays_of(layer.cell)
    return {
        "name": name,
        "neurons": layer.neurons,
        "reverse": layer.reverse,
        "stacked": layer.stacked,
        "cell": {"name": cell.name, "title": cell.title, "paper": cell.paper, "note": cell.note},
        "signals": [
            {"name": name, **about[name], "expression": cell.expression(name), "meaning": _meaning(cell, name)}
            for name in cell.signals
        ],
        "drives": [{"name": name, **about[name]} for name in cell.drives],
        "parameters": [{"name": f"p.{name}", "title": f"per-neuron weight p.{name}"} for name in cell.tape.parameters],
    }


def _meaning(cell: Cell, signal: str) -> str | None:
    """Return the code of the explanation of a signal; None if its title is not one of the common ones."""
    title = arrays_of(cell)[signal]["title"].partition(" (")[0]
    # Other cells use their update gate in another way than a GRU, so the page only points to their formula.
    return "SIGNAL_UPDATE_GATE" if (cell.name, title) == ("gru", "update gate") else SIGNAL_MEANINGS.get(title)
