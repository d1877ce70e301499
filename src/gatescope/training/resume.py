"""Resuming a training, so that nothing that was trained or recorded is lost.

Without a checkpoint, training would start again and replace trained weights by untrained ones. A run that was copied
without its checkpoints can be resumed from its best weights instead, but only on request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from typing import Any

import torch

from gatescope.configuration import Configuration
from gatescope.messages import Message
from gatescope.network import Network
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS, Checkpoint, Run
from gatescope.tasks import Task
from gatescope.training.loop import Loop
from gatescope.training.settings import Settings, TrainingError
from gatescope.training.training_progress import FROM_BEST, Progress

MAX_LISTED_SYMBOLS = 8  # in an error


def load_checkpoint(run: Run) -> Checkpoint | None:
    """Return the checkpoint to resume from; None if there is none.

    Raises:
        RunError: the checkpoint or the best weights are damaged.
        TrainingError: the checkpoint is older than the end of the history, by more than a kill explains.
    """
    checkpoint = run.last_checkpoint()
    if checkpoint is None:
        return None
    if (run.path / WEIGHTS).exists():
        run.network()  # raises for damaged weights before anything changes
    step = Progress.from_json(checkpoint.progress).step
    later = [record["step"] for record in run.read(HISTORY) if _is_validation(record) and record.get("step", 0) > step]
    if len(later) > 1:  # a record is written just before its checkpoint, so a kill leaves one
        raise TrainingError("RESUME_CHECKPOINT_OLD", path=run.path, expected=later[-1], step=step, advice=FROM_BEST)
    return checkpoint


def check_untrained(run: Run, network: Network) -> None:
    """Check that a run without a checkpoint has nothing that a training from the start would replace.

    Args:
        run: the run.
        network: its network with the initial weights.

    Raises:
        TrainingError: the run has trained weights, a history or samples.
    """
    files = [file for file in (HISTORY, SAMPLES) if run.read(file)]
    if (run.path / WEIGHTS).exists():
        weights, initial = run.network()[0].state_dict(), network.state_dict()
        if not all(torch.equal(value, initial[name]) for name, value in weights.items()):
            files.insert(0, WEIGHTS)
    if any(run.checkpoints()):
        files.append("checkpoints/")
    if files:
        advice = FROM_BEST if WEIGHTS in files else Message("RESUME_ADVICE_RESTORE")
        raise TrainingError("RESUME_CHECKPOINT_MISSING", path=run.path, files=" and ".join(files), advice=advice)


def resume_from_best(run: Run, task: Task, settings: Settings) -> Loop:
    """Return a training that resumes from the best weights, with a fresh optimizer.

    Raises:
        RunError: the weights are missing or damaged.
        TaskError: the data of the task are gone.
    """
    network, step = run.network()
    training, history = Loop(network, task, settings), run.read(HISTORY)
    for name in ("step", "symbols", "seconds"):
        setattr(training.progress, name, max((record.get(name) or 0 for record in history), default=0))
    progress = training.progress
    progress.step = max(progress.step, step, *run.checkpoints(), 0)
    task.batch(settings.seed, progress.step)  # raises for missing data before anything changes
    training.is_best(training.validate())
    continued = {"step": progress.step, "symbols": progress.symbols, "seconds": progress.seconds}
    run.append(HISTORY, {**continued, "event": "restart", "weights_step": step})
    if progress.step not in run.checkpoints():  # an existing checkpoint of this step has other weights
        run.save_checkpoint(training.checkpoint())
    return training


def check_same_sizes(run: Run, task: Task, configuration: Configuration) -> None:
    """Check that the task and the network of a run have the same number of symbols and of predictions.

    Raises:
        TrainingError: task.json and network.json are of different runs, or damaged.
    """
    expected, actual = (
        Message(
            "RESUME_SIZES",
            symbols=source.vocabulary.size,
            predictions=source.readout.size(source.vocabulary.size),
            kind=source.readout.kind,
        )
        for source in (configuration, task)
    )
    if expected.values != actual.values:
        raise TrainingError("RESUME_TASK_DIFFERS", path=run.path, expected=expected, actual=actual)


def create_run_from(start: Run, path: str | PathLike[str], task: Task, settings: Settings) -> Run:
    """Create a run whose initial weights are the best weights of another run.

    Args:
        start: the other run.
        path: the directory of the new run.
        task: the task of the new run.
        settings: the settings of the new training.

    Raises:
        RunError: `start` has no weights, or the directory is not empty.
        TrainingError: the task has other symbols or other predictions.
    """
    network, step = start.network()
    check_network_fits(task, network.configuration)
    training = Loop(network, task, settings)
    task.batch(settings.seed, 0)
    training.is_best(training.validate())
    run = Run.create(path, network.configuration, task, asdict(settings))
    beginning = {"step": 0, "symbols": 0, "seconds": 0.0, "event": "start", "from": start.name, "weights_step": step}
    run.append(HISTORY, beginning)
    run.save_weights(network.state_dict(), 0)
    run.save_checkpoint(training.checkpoint())
    return run


def check_network_fits(task: Task, configuration: Configuration) -> None:
    """Check that a network has the symbols and the predictions of a task.

    Raises:
        TrainingError: they differ; the message names the difference.
    """
    old, new = configuration.vocabulary, task.vocabulary
    pairs: list[tuple[str, Any, Any]] = [
        ("Steps", f"{old.unit}s", f"{new.unit}s"),
        ("End mark", old.end, new.end),
        ("Symbol for unknown symbols", old.other, new.other),
        ("Prediction", configuration.readout.kind, task.readout.kind),
        ("Classes or numbers", list(configuration.readout.names), list(task.readout.names)),
    ]
    for what, expected, actual in pairs:
        if expected != actual:
            raise TrainingError("RESUME_NETWORK_DIFFERS", what=what, expected=expected, actual=actual)
    if configuration.readout != task.readout:
        raise TrainingError("RESUME_READOUT_DIFFERS", expected=configuration.readout, actual=task.readout)
    if old.symbols != new.symbols:
        added = [symbol for symbol in new.symbols if symbol not in set(old.symbols)]
        missing = [symbol for symbol in old.symbols if symbol not in set(new.symbols)]
        if added:
            raise TrainingError("RESUME_SYMBOLS_ADDED", count=old.size, symbols=_listed(added))
        if missing:
            raise TrainingError("RESUME_SYMBOLS_MISSING", count=old.size, symbols=_listed(missing))
        raise TrainingError("RESUME_SYMBOLS_ORDER", count=old.size)


def _listed(symbols: list[str]) -> Message | str:
    listed = ", ".join(map(repr, symbols[:MAX_LISTED_SYMBOLS]))
    more = len(symbols) - MAX_LISTED_SYMBOLS
    return Message("RESUME_SYMBOLS_MORE", symbols=listed, more=more) if more > 0 else listed


def _is_validation(record: Mapping[str, Any]) -> bool:
    return "event" not in record and record.get("validation_loss") is not None
