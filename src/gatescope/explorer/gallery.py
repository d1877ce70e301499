"""What the page is told about runs: a summary of each, kept until its files change."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatescope.configuration import Layer
from gatescope.errors import GatescopeError
from gatescope.explorer.recorder import stamp_of
from gatescope.readout import SYMBOLS
from gatescope.recording import arrays_of
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS, Run, find_runs
from gatescope.tasks import Task
from gatescope.tasks.adopted import Adopted
from gatescope.training import Settings, stored_settings

LATEST_SAMPLES = 20
LONGEST_HISTORY = 2000  # records sent to the page; more are thinned out evenly

Stamp = tuple[Any, ...]


class Gallery:
    """The runs in some places, by name. Only these can be asked for: a name is looked up, never joined to a path."""

    def __init__(self, places: list[Path]) -> None:
        self._places = places
        self._summaries: dict[Path, tuple[Stamp, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def runs(self) -> dict[str, Run]:
        """Name -> run; a second run of the same name is told apart by its folder."""
        found: dict[str, Run] = {}
        for run in find_runs(self._places):
            name, number = run.name, 2
            while name in found:
                name, number = f"{run.name} ({number})", number + 1
            found[name] = run
        return found

    def summaries(self) -> list[dict[str, Any]]:
        """The summary of every run, the newest first."""
        with self._lock:
            runs = self.runs()
            summaries = [self._summary(name, run) for name, run in runs.items()]
        return sorted(summaries, key=lambda summary: (-summary["created"], summary["name"]))

    def _summary(self, name: str, run: Run) -> dict[str, Any]:
        stamp = (name, run.is_training, *(stamp_of(run.path / file) for file in ("network.json", HISTORY, WEIGHTS)))
        known = self._summaries.get(run.path)
        if known is None or known[0] != stamp:
            try:
                summary = summarise(name, run)
                json.dumps(summary, allow_nan=False)
            except Exception as error:  # noqa: BLE001  one damaged run must not hide the others
                problem = f"{run.path} is damaged: what it holds is no history of a training ({error!r})."
                summary = nothing_known(name, run) | {"problem": problem}
            known = (stamp, summary)
            self._summaries[run.path] = known
        return known[1]

    def details(self, name: str) -> dict[str, Any] | None:
        """Everything the page shows of one run but its traces; None when there is no such run."""
        run = self.runs().get(name)
        if run is None:
            return None
        with self._lock:
            summary = self._summary(name, run)
        if summary["state"] == "unreadable":
            return summary
        try:
            return summary | _details(run)
        except GatescopeError as error:
            return nothing_known(name, run) | {"problem": str(error)}


def _details(run: Run) -> dict[str, Any]:
    """What the page shows of one run besides its summary.

    Raises:
        GatescopeError: a file of the run cannot be read.
    """
    configuration, task = run.configuration(), run.task()
    history = [record for record in run.read(HISTORY) if "event" not in record]
    stride = -(-len(history) // LONGEST_HISTORY) or 1
    return {
        "layers": [_layer(*each) for each in zip(configuration.names, configuration.layers, strict=True)],
        "vocabulary": list(configuration.vocabulary.symbols),
        "end": configuration.vocabulary.end,
        "examples": task.examples(),
        "history": [r for k, r in enumerate(history) if k % stride == 0 or "validation_loss" in r],
        "samples": run.read(SAMPLES)[-LATEST_SAMPLES:],
        "checkpoints": run.checkpoints(),
    }


def nothing_known(name: str, run: Run) -> dict[str, Any]:
    """The summary of a run that cannot be read."""
    created = stamp_of(run.path / "network.json")
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
        "steps": None,
        "minutes": None,
        "progress": None,
        "seconds": 0.0,
        "loss": None,
        "validation_loss": None,
        "score": None,
        "baseline": None,
        "notes": [],
        "created": created[0] / 1e9 if created else 0.0,
        "updated": 0.0,
        "example": "",
    }


def summarise(name: str, run: Run) -> dict[str, Any]:
    """The summary of one run; of one that cannot be read, the sentence that says why."""
    summary = nothing_known(name, run)
    try:
        configuration, task, settings = run.configuration(), run.task(), stored_settings(run)
        history = run.read(HISTORY)
    except GatescopeError as error:
        return summary | {"problem": str(error)}
    last = history[-1] if history else {}
    cells = {layer.cell.name: layer.cell.title for layer in configuration.layers}
    updated, score = stamp_of(run.path / HISTORY), _latest(history, "score")
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
        "weights": stamp_of(run.path / WEIGHTS) is not None,
        "steps": settings.steps,
        "minutes": settings.minutes,
        "progress": _progress(last, settings),
        "seconds": last.get("seconds") or 0.0,
        "loss": _latest(history, "loss"),
        "validation_loss": _latest(history, "validation_loss"),
        "score": score,
        "baseline": _baseline(task, score),
        "notes": list(getattr(task, "notes", [])),
        "updated": updated[0] / 1e9 if updated else summary["created"],
        "example": next(iter(task.examples()), ""),
    }


def _progress(last: Mapping[str, Any], settings: Settings) -> float:
    if last.get("event") == "end" and last.get("reason") not in ("interrupted", "failed"):
        return 1.0
    steps, minutes = settings.steps, settings.minutes
    by_steps = (last.get("step") or 0) / steps if steps else 0.0
    by_clock = (last.get("seconds") or 0.0) / 60 / minutes if minutes else 0.0
    return min(1.0, max(by_steps, by_clock))


def _baseline(task: Task, score: Any) -> float | None:
    """The loss of a guess that knows only how often each symbol occurs, for an adopted network that was scored."""
    chance = score.get("chance") if isinstance(task, Adopted) and isinstance(score, dict) else None
    return float(chance) if isinstance(chance, int | float) else None


def _latest(history: list[dict[str, Any]], key: str) -> Any:
    return next((record[key] for record in reversed(history) if record.get(key) is not None), None)


def _layer(name: str, layer: Layer) -> dict[str, Any]:
    """One layer with its cell's equations, in the schema of the page."""
    cell, about = layer.cell, arrays_of(layer.cell)
    return {
        "name": name,
        "neurons": layer.neurons,
        "reverse": layer.reverse,
        "stacked": layer.stacked,
        "cell": {"name": cell.name, "title": cell.title, "paper": cell.paper, "note": cell.note},
        "signals": [{"name": name, **about[name], "expression": cell.expression(name)} for name in cell.signals],
        "drives": [{"name": name, **about[name]} for name in cell.drives],
        "parameters": [{"name": f"p.{name}", "title": f"per-neuron weight p.{name}"} for name in cell.tape.parameters],
    }
