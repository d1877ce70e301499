"""Training a network, and what that leaves in a run directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from os import PathLike
from typing import Any

from gatescope.cells import Cell
from gatescope.network import Configuration, Network, configure, predict
from gatescope.readout import SYMBOLS
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS, Run
from gatescope.sampling import Choice, sample
from gatescope.tasks import Forecasting, Score, Task
from gatescope.training.loop import Loop, Record
from gatescope.training.settings import Settings, TrainingError

__all__ = ["Loop", "Outcome", "Record", "Settings", "TrainingError", "create", "recommended_network", "train"]


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        reason: "solved", "finished", "no improvement" or "interrupted".
        score: of the best weights; None when it was interrupted, because the score of a text takes a while.
    """

    reason: str
    step: int
    seconds: float
    score: Score | None


def create(
    path: str | PathLike[str],
    task: Task,
    configuration: Configuration | None = None,
    settings: Settings | None = None,
) -> Run:
    """A run directory for a training that has not begun.

    Args:
        path: the directory; it must not exist, or be empty.
        task: what is learned.
        configuration: the network; an LSTM of the size that the task recommends when not given.
        settings: how it is trained; as the task recommends when not given.

    Raises:
        RunError: the place is taken or cannot be written.
        TrainingError: the network would read what it is to forecast.
    """
    if configuration is None:
        configuration = recommended_network(task)
    if configuration.both_ways and isinstance(task, Forecasting):
        raise TrainingError(
            "a network that reads in both directions would read the very steps that it is to forecast; let it read "
            "forward only."
        )
    return Run.create(path, configuration, task, asdict(settings or Settings.recommended(task)))


def recommended_network(
    task: Task, cell: Cell | str | None = None, neurons: Sequence[int] | None = None, **changes: Any
) -> Configuration:
    """The network that a task recommends, with changes; a change that is None is none.

    Args:
        cell: what its layers are made of; None: what the task recommends.
        neurons: of each layer (and direction).
        changes: of "embedding", "dropout" and "both_ways".

    Raises:
        CellError: an unknown cell.
        NetworkError: a size that makes no sense.
    """
    usual = task.recommended
    fields = {"embedding": usual.embedding, "dropout": usual.dropout, "both_ways": usual.both_ways}
    fields |= {name: value for name, value in changes.items() if value is not None}
    return configure(task.vocabulary, cell or usual.cell, neurons or usual.layers, readout=task.readout, **fields)


def train(
    run: Run,
    *,
    on_record: Callable[[Record], None] = lambda record: None,
    stop: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> Outcome:
    """Train the network of a run, from its last checkpoint if it has one, and keep everything in its directory.

    Args:
        run: made by `create`.
        on_record: called with every record, after it was written.
        stop: asked before every update; True ends the training with a checkpoint from which it can go on.
        changes: settings that are different from now on, such as more steps; they are kept in the run. A new limit,
            steps or minutes, replaces the old one.

    Raises:
        RunError: the run is damaged, or another process is training it.
        TrainingError: the loss is no longer a number; the run keeps its last good weights.
        TaskError: the text is not there any more.
    """
    settings = _settings(run.settings(), changes)
    configuration, task = run.configuration(), run.task()
    with run.training():
        training = Loop(Network(configuration, settings.seed), task, settings)
        checkpoint = run.last_checkpoint()
        if checkpoint is not None:
            training.restore(checkpoint)
            if (run.path / WEIGHTS).is_file():
                run.network()  # damaged weights are found before anything is changed
            else:
                run.save_weights(checkpoint.weights, training.progress.step)
        else:  # the untrained network can be looked at, too
            run.save_weights(training.network.state_dict(), 0)
            run.save_checkpoint(training.checkpoint())
        run.forget_after(training.progress.step)
        run.save_settings(asdict(settings))
        end: Record = {}
        try:
            for record in training.records(stop):
                if record.get("event") == "end":
                    end = record
                    break
                run.append(HISTORY, record)  # before the checkpoint, behind which nothing is written again
                if "validation_loss" in record:
                    _keep(run, training, record)
                on_record(record)
        except TrainingError as error:
            run.append(
                HISTORY, {"step": training.progress.step, "event": "end", "reason": "failed", "problem": str(error)}
            )
            raise
        if end["reason"] == "interrupted":
            run.save_checkpoint(training.checkpoint())
        score = None if end["reason"] == "interrupted" else _final_score(run, task)
        if score is not None:
            end = {**end, "score": score.to_json()}
        run.append(HISTORY, end)
        on_record(end)
        return Outcome(end["reason"], end["step"], end["seconds"], score)


def _settings(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> Settings:
    """The stored settings with changes; a change that is None is none."""
    known = {entry.name for entry in fields(Settings)}
    unknown = set(stored) - known
    if unknown:
        raise TrainingError(
            f"training.json has {', '.join(sorted(unknown))}, which this version does not know; upgrade."
        )
    given = {name: value for name, value in changes.items() if value is not None}
    if "steps" in given or "minutes" in given:
        given = {"steps": None, "minutes": None, **given}
    try:
        return Settings(**{**stored, **given})
    except TypeError as error:
        what = str(error).partition("\n")[0]
        raise TrainingError(f"training.json does not hold settings of a training ({what}); is it damaged?") from error


def _keep(run: Run, training: Loop, record: Record) -> None:
    """After a validation: the weights if they are the best, a sample, a checkpoint."""
    if training.is_best(record):
        run.save_weights(training.network.state_dict(), training.progress.step)
    configuration = training.network.configuration
    writes = configuration.readout == SYMBOLS and not configuration.both_ways
    if writes and training.task.vocabulary.end is None:
        text = "".join(sample(training.network, "", choice=Choice(temperature=0.7), seed=training.progress.step))
        run.append(SAMPLES, {"step": training.progress.step, "temperature": 0.7, "text": text})
    run.save_checkpoint(training.checkpoint())


def _final_score(run: Run, task: Task) -> Score:
    """The score of the weights that the run shows: its best ones."""
    network, _ = run.network()
    return task.score(partial(predict, network))
