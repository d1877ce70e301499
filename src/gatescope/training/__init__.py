"""Training a network, and what that leaves in a run directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from os import PathLike
from typing import Any

from gatescope.cells import Cell
from gatescope.configuration import Configuration, configure
from gatescope.names import check_names, named_arguments
from gatescope.network import Network, predict
from gatescope.readout import SYMBOLS
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS, Run, RunError
from gatescope.sampling import Choice, sample
from gatescope.tasks import Forecasting, Score, Task
from gatescope.training.going_on import begin_from as _begin_from
from gatescope.training.going_on import expect_one_run as _expect_one_run
from gatescope.training.going_on import expect_untrained as _expect_untrained
from gatescope.training.going_on import from_best as _from_best
from gatescope.training.going_on import last_checkpoint
from gatescope.training.loop import Loop, Record
from gatescope.training.settings import Settings, TrainingError, expect_types

__all__ = [
    "Loop",
    "Outcome",
    "Record",
    "Settings",
    "TrainingError",
    "create_run",
    "recommended_network",
    "stored_settings",
    "train",
]


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


@named_arguments
def create_run(
    path: str | PathLike[str],
    task: Task,
    configuration: Configuration | None = None,
    settings: Settings | None = None,
    *,
    start: Run | None = None,
) -> Run:
    """A run directory for a training that has not begun.

    Args:
        path: the directory; it must not exist, or be empty.
        task: what is learned.
        configuration: the network; an LSTM of the size that the task recommends when not given.
        settings: how it is trained; as the task recommends when not given.
        start: a run whose best weights the training goes on from; nothing in its directory changes. The task needs its
            symbols and its readout.

    Raises:
        RunError: the place is taken or cannot be written.
        TrainingError: the network would read what it is to forecast, or a network to go on from does not fit.
    """
    if start is not None:
        if configuration is not None:
            raise TrainingError("TRAINING_CONFIGURATION_NONE_BESIDE_START")
        return _begin_from(start, path, task, settings or Settings.recommended(task))
    if configuration is None:
        configuration = recommended_network(task)
    if configuration.both_ways and isinstance(task, Forecasting):
        raise TrainingError("TRAINING_NETWORK_READS_BOTH_DIRECTIONS")
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
    from_best: bool = False,
    **changes: Any,
) -> Outcome:
    """Train the network of a run, from its last checkpoint if it has one, and keep everything in its directory.

    Args:
        run: made by `create_run`.
        on_record: called with every record, after it was written.
        stop: asked before every update; True ends the training with a checkpoint from which it can go on.
        from_best: go on from the best weights with a fresh optimizer, instead of from the last checkpoint. The history
            is kept, with a record of this, and the count of steps goes on.
        changes: settings that are different from now on, such as more steps; they are kept in the run. A new limit,
            steps or minutes, replaces the old one.

    Raises:
        RunError: the run is damaged, or another process is training it.
        TrainingError: the loss is no longer a number, or the training has diverged: the run keeps its best weights. Or
            there are weights or a history but no checkpoint that they go on from: nothing is changed.
        TaskError: the text is not there any more.
    """
    settings = stored_settings(run, **changes)
    configuration, task = run.configuration(), run.task()
    _expect_one_run(run, task, configuration)
    with run.training():
        if from_best:
            training = _from_best(run, task, settings)
        else:
            checkpoint = last_checkpoint(run)
            training = Loop(Network(configuration, settings.seed), task, settings)
            if checkpoint is not None:
                training.restore(checkpoint)
                if not (run.path / WEIGHTS).exists():
                    run.save_weights(checkpoint.weights, training.progress.step)
            else:  # the untrained network can be looked at, too
                _expect_untrained(run, training.network)
                run.save_weights(training.network.state_dict(), 0)
                run.save_checkpoint(training.checkpoint())
            run.forget_after(training.progress.step)
        run.save_settings(asdict(settings))
        end: Record = {}
        began = training.progress.step
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
        except RunError as error:  # a full disk, perhaps
            raise RunError("TRAINING_TRAINING_GOES_LAST_CHECKPOINT", error=error) from error
        if end["reason"] == "interrupted" and not (from_best and end["step"] == began):
            run.save_checkpoint(training.checkpoint())
        score = None if end["reason"] == "interrupted" else _final_score(run, task)
        if score is not None:
            end = {**end, "score": score.to_json()}
        run.append(HISTORY, end)
        on_record(end)
        return Outcome(end["reason"], end["step"], end["seconds"], score)


def stored_settings(run: Run, **changes: Any) -> Settings:
    """Return the settings of a run with changes; a change that is None is none.

    Raises:
        RunError, TrainingError: they are damaged, or a newer version wrote them.
    """
    stored = run.settings()
    known = {entry.name for entry in fields(Settings)}
    unknown = set(stored) - known
    if unknown:
        raise TrainingError("TRAINING_TRAINING_JSON_VERSION_KNOW", unknown=", ".join(sorted(unknown)))
    try:
        expect_types(stored)
    except TrainingError as error:
        raise TrainingError("TRAINING", value=run.path / "training.json", error=error) from error
    check_names("Setting of train", changes, sorted(known))
    given = {name: value for name, value in changes.items() if value is not None}
    if "steps" in given or "minutes" in given:
        given = {"steps": None, "minutes": None, **given}
    expect_types(given)
    try:
        return Settings(**{**stored, **given})
    except TypeError as error:
        what = str(error).partition("\n")[0]
        raise TrainingError("TRAINING_TRAINING_JSON_HOLD_SETTINGS", what=what) from error


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
