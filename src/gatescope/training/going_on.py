"""Going on from what a run holds, so that nothing that was trained or recorded is lost unasked.

Without a checkpoint a training would begin anew, and its untrained weights would replace trained ones. Whoever copies a
run without its checkpoints goes on from the best weights instead, and has to say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from typing import Any

import torch

from gatescope.configuration import Configuration
from gatescope.network import Network
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS, Checkpoint, Run
from gatescope.tasks import Task
from gatescope.training.loop import Loop
from gatescope.training.progress import FROM_BEST, Progress
from gatescope.training.settings import Settings, TrainingError

SHOWN = 8  # symbols that an error lists
_OTHER = "Give data with the same symbols, or train a new network."


def last_checkpoint(run: Run) -> Checkpoint | None:
    """Return the checkpoint that a training goes on from; None where none was made yet.

    Raises:
        RunError: it, or the best weights beside it, are damaged.
        TrainingError: it is older than the history by more than a kill explains.
    """
    checkpoint = run.last_checkpoint()
    if checkpoint is None:
        return None
    if (run.path / WEIGHTS).exists():
        run.network()  # damaged weights are found before anything is changed
    at = Progress.from_json(checkpoint.progress).step
    later = [record["step"] for record in run.read(HISTORY) if _is_validation(record) and record.get("step", 0) > at]
    if len(later) > 1:  # a record is written just before its checkpoint, so a kill leaves one
        raise TrainingError(
            "GOING_ON_CHECKPOINT_STEP_WHERE_HISTORY", path=run.path, later=later[-1], at=at, from_best=FROM_BEST
        )
    return checkpoint


def expect_untrained(run: Run, network: Network) -> None:
    """Check that a run without a checkpoint holds nothing that a new beginning would replace.

    Args:
        run: the run.
        network: its network as a training begins.

    Raises:
        TrainingError: there are weights, a history or samples.
    """
    there = [file for file in (HISTORY, SAMPLES) if run.read(file)]
    if (run.path / WEIGHTS).exists():
        weights, began = run.network()[0].state_dict(), network.state_dict()
        if not all(torch.equal(value, began[name]) for name, value in weights.items()):
            there.insert(0, WEIGHTS)
    if any(run.checkpoints()):
        there.append("weights in checkpoints/")
    if there:
        usable = FROM_BEST if WEIGHTS in there else "Bring what is missing back, or start a new run."
        raise TrainingError(
            "GOING_ON_CHECKPOINT_GO_WITHOUT_TRAINING", path=run.path, there=" and ".join(there), usable=usable
        )


def from_best(run: Run, task: Task, settings: Settings) -> Loop:
    """Return a training that goes on from the best weights, with a fresh optimizer.

    Raises:
        RunError: there are no weights, or they are damaged.
        TaskError: the data is not there any more.
    """
    network, step = run.network()
    training, history = Loop(network, task, settings), run.read(HISTORY)
    for name in ("step", "symbols", "seconds"):
        setattr(training.progress, name, max((record.get(name) or 0 for record in history), default=0))
    progress = training.progress
    progress.step = max(progress.step, step, *run.checkpoints(), 0)
    task.batch(settings.seed, progress.step)  # data that is gone is found before anything is changed
    training.is_best(training.validate())
    kept = {"step": progress.step, "symbols": progress.symbols, "seconds": progress.seconds}
    run.append(HISTORY, {**kept, "event": "restart", "weights_step": step})
    if progress.step not in run.checkpoints():  # whose weights are others
        run.save_checkpoint(training.checkpoint())
    return training


def expect_one_run(run: Run, task: Task, configuration: Configuration) -> None:
    """Check that the task and the network of a run have as many symbols and predictions.

    Raises:
        TrainingError: they are of different runs, or damaged.
    """
    sizes = [
        (about.vocabulary.size, about.readout.kind, about.readout.size(about.vocabulary.size))
        for about in (configuration, task)
    ]
    if sizes[0] != sizes[1]:
        raise TrainingError(
            "GOING_ON_TASK_SYMBOLS_PREDICTS_NETWORK",
            path=run.path,
            sizes=sizes[0][0],
            sizes2=sizes[0][2],
            sizes3=sizes[0][1],
            sizes4=sizes[1][0],
            sizes5=sizes[1][2],
            sizes6=sizes[1][1],
        )


def begin_from(start: Run, path: str | PathLike[str], task: Task, settings: Settings) -> Run:
    """Make a run whose training goes on from the best weights of another one.

    Raises:
        RunError: the run to go on from has no weights, or the place is taken.
        TrainingError: the task has other symbols or predicts something else.
    """
    network, step = start.network()
    expect_fit(task, network.configuration)
    training = Loop(network, task, settings)
    task.batch(settings.seed, 0)
    training.is_best(training.validate())
    run = Run.create(path, network.configuration, task, asdict(settings))
    begun = {"step": 0, "symbols": 0, "seconds": 0.0, "event": "start", "from": start.name, "weights_step": step}
    run.append(HISTORY, begun)
    run.save_weights(network.state_dict(), 0)
    run.save_checkpoint(training.checkpoint())
    return run


def expect_fit(task: Task, configuration: Configuration) -> None:
    """Check that a network can learn a task: the same symbols, and the same predictions.

    Raises:
        TrainingError: the sentence names what differs.
    """
    old, new = configuration.vocabulary, task.vocabulary
    pairs: list[tuple[str, Any, Any]] = [
        ("steps", f"{old.unit}s", f"{new.unit}s"),
        ("end mark", old.end, new.end),
        ("symbol for unknown ones", old.other, new.other),
        ("prediction", configuration.readout.kind, task.readout.kind),
        ("classes or numbers", list(configuration.readout.names), list(task.readout.names)),
    ]
    for what, expected, got in pairs:
        if expected != got:
            raise TrainingError("GOING_ON_NETWORK", what=what, expected=expected, got=got, other=_OTHER)
    if configuration.readout != task.readout:
        raise TrainingError("GOING_ON_PREDICTIONS", readout=configuration.readout, readout2=task.readout, other=_OTHER)
    if old.symbols != new.symbols:
        more = [symbol for symbol in new.symbols if symbol not in set(old.symbols)]
        fewer = [symbol for symbol in old.symbols if symbol not in set(new.symbols)]
        differs = f"{_listed(more)} too much" if more else f"{_listed(fewer)} missing" if fewer else "another order"
        raise TrainingError("GOING_ON_SYMBOLS_NETWORK", size=old.size, differs=differs, other=_OTHER)


def _listed(symbols: list[str]) -> str:
    more = f" and {len(symbols) - SHOWN:,} more" if len(symbols) > SHOWN else ""
    return ", ".join(map(repr, symbols[:SHOWN])) + more


def _is_validation(record: Mapping[str, Any]) -> bool:
    return "event" not in record and record.get("validation_loss") is not None
