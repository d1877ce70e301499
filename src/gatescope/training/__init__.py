"""Training: create a run, train its network, and resume it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from os import PathLike
from typing import Any

from gatescope.configuration import Configuration
from gatescope.names import check_names, named_arguments
from gatescope.network import Network, predict
from gatescope.readout import SYMBOLS
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS, Run, RunError, check_run
from gatescope.runs.training_request import STOP, EndRequest
from gatescope.sampling import Choice, sample
from gatescope.tasks import Forecasting, Score, Task
from gatescope.training.bundle import bundle, write_bundle
from gatescope.training.loop import Loop, Record
from gatescope.training.recommended import recommended_network
from gatescope.training.resume import check_same_sizes as _check_same_sizes
from gatescope.training.resume import check_untrained as _check_untrained
from gatescope.training.resume import create_run_from as _create_run_from
from gatescope.training.resume import load_checkpoint as _load_checkpoint
from gatescope.training.resume import resume_from_best as _resume_from_best
from gatescope.training.settings import Settings, TrainingError, check_types

__all__ = [
    "Loop",
    "Outcome",
    "Record",
    "Settings",
    "TrainingError",
    "bundle",
    "create_run",
    "recommended_network",
    "stored_settings",
    "train",
    "write_bundle",
]


@dataclass(frozen=True)
class Outcome:
    """The end of a training.

    Attributes:
        reason: "solved", "finished", "no improvement", "interrupted", or "stopped" before its end on the page.
        step: the number of updates.
        seconds: the time spent, over all parts of a resumed training.
        score: the score of the best weights; None if training was interrupted, because the score of a text takes long.
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
    """Create a run directory. Training has not begun yet.

    Args:
        path: the directory; it must not exist, or be empty.
        task: the task.
        configuration: the network; None: the one that the task recommends.
        settings: the settings of the training; None: as the task recommends.
        start: a run whose best weights are the initial weights. Its directory does not change. The task must have the
            same symbols and the same readout.

    Raises:
        RunError: the directory is not empty, or cannot be written.
        TrainingError: the network would read the steps that it has to forecast, `start` does not fit the task, or
            `task` is the class or the name of a task.
    """
    _check_task(task)
    if start is not None:
        if configuration is not None:
            raise TrainingError("TRAINING_CONFIGURATION_AND_START")
        return _create_run_from(start, path, task, settings or Settings.recommended(task))
    if configuration is None:
        configuration = recommended_network(task)
    if configuration.both_ways and isinstance(task, Forecasting):
        raise TrainingError("TRAINING_FORECAST_BOTH_WAYS")
    return Run.create(path, configuration, task, asdict(settings or Settings.recommended(task)))


def _check_task(task: Any) -> None:
    """Refuse what a newcomer passes for a task: its class or its name."""
    if isinstance(task, type):
        raise TrainingError("TRAINING_TASK_TYPE", type=f"the class {task.__name__}")
    if not hasattr(task, "recommended"):
        raise TrainingError("TRAINING_TASK_TYPE", type=type(task).__name__)


def train(
    run: Run,
    *,
    on_record: Callable[[Record], None] = lambda record: None,
    stop: Callable[[], bool] = lambda: False,
    from_best: bool = False,
    **changes: Any,
) -> Outcome:
    """Train the network of a run, from its last checkpoint if it has one. Write everything into its directory.

    Args:
        run: the run, made by `create_run`.
        on_record: called with every record after it is written.
        stop: called before every update. If it returns true, training writes a checkpoint and ends; so it does when the
            page of the explorer pauses or stops it.
        from_best: resume from the best weights with a fresh optimizer, instead of from the last checkpoint. The history
            and the count of steps continue.
        changes: settings that differ from now on, such as more steps; they are stored in the run. A new limit, steps or
            minutes, replaces the old limit.

    Raises:
        RunError: the run is damaged, cannot be written, or is trained by another process; or `run` is not a Run.
        TrainingError: the loss is not a finite number, or training has diverged; the run keeps its best weights. Or the
            run has weights or a history but no checkpoint to resume from; then nothing changes.
        TaskError: the data of the task are gone.
    """
    check_run(run)
    settings = stored_settings(run, **changes)
    configuration, task = run.configuration(), run.task()
    _check_same_sizes(run, task, configuration)
    with run.training(), EndRequest(run.path) as request:
        training = _loaded(run, task, configuration, settings, from_best=from_best)
        run.save_settings(asdict(settings))
        end: Record = {}
        began = training.progress.step
        try:
            for record in training.records(lambda: stop() or request()):
                if record.get("event") == "end":
                    stopped = record["reason"] == "interrupted" and request.kind == STOP
                    end = _stopped(run, training, record) if stopped else record
                    break
                run.append(HISTORY, record)  # before its checkpoint: training resumes after the checkpoint
                if "validation_loss" in record:
                    _save_validated(run, training, record)
                on_record(record)
        except TrainingError as error:
            run.append(
                HISTORY, {"step": training.progress.step, "event": "end", "reason": "failed", "problem": str(error)}
            )
            raise
        except RunError as error:  # such as a full disk
            raise RunError("TRAINING_STOPPED_AT_CHECKPOINT", reason=error.message) from error
        if end["reason"] == "interrupted" and not (from_best and end["step"] == began):
            run.save_checkpoint(training.checkpoint())
        score = None if end["reason"] == "interrupted" else _final_score(run, task)
        if score is not None:
            end = {**end, "score": score.to_json()}
        run.append(HISTORY, end)
        on_record(end)
        return Outcome(end["reason"], end["step"], end["seconds"], score)


def _loaded(run: Run, task: Task, configuration: Configuration, settings: Settings, *, from_best: bool) -> Loop:
    """Return the training of a run at the step that it resumes from; its weights and records are those of this step."""
    if from_best:
        return _resume_from_best(run, task, settings)
    checkpoint = _load_checkpoint(run)
    training = Loop(Network(configuration, settings.seed), task, settings)
    if checkpoint is not None:
        training.restore(checkpoint)
        if not (run.path / WEIGHTS).exists():
            run.save_weights(checkpoint.weights, training.progress.step)
    else:  # the untrained network can be opened, too
        _check_untrained(run, training.network)
        run.save_weights(training.network.state_dict(), 0)
        run.save_checkpoint(training.checkpoint())
    run.remove_records_after(training.progress.step)
    return training


def stored_settings(run: Run, **changes: Any) -> Settings:
    """Return the settings of a run, with changes.

    Args:
        run: the run.
        changes: settings that differ; None: as stored.

    Raises:
        RunError: training.json is missing or damaged.
        TrainingError: a setting is unknown, or has the wrong type or value.
    """
    stored = run.settings()
    known = {entry.name for entry in fields(Settings)}
    unknown = set(stored) - known
    if unknown:
        raise TrainingError("TRAINING_JSON_NEWER", path=run.path / "training.json", names=", ".join(sorted(unknown)))
    try:
        check_types(stored)
    except TrainingError as error:
        raise TrainingError("TRAINING_JSON_SETTING", path=run.path / "training.json", reason=error.message) from error
    check_names("Setting of train", changes, sorted(known))
    changed = {name: value for name, value in changes.items() if value is not None}
    if "steps" in changed or "minutes" in changed:
        changed = {"steps": None, "minutes": None, **changed}
    check_types(changed)
    try:
        return Settings(**{**stored, **changed})
    except TypeError as error:
        reason = str(error).partition("\n")[0]
        raise TrainingError("TRAINING_JSON_DAMAGED", path=run.path / "training.json", reason=reason) from error


def _save_validated(run: Run, training: Loop, record: Record) -> None:
    """Write the weights if they are the best, a sample if the network can write, and a checkpoint."""
    if training.is_best(record):
        run.save_weights(training.network.state_dict(), training.progress.step)
    configuration = training.network.configuration
    can_write = configuration.readout == SYMBOLS and not configuration.both_ways
    if can_write and training.task.vocabulary.end is None:
        text = "".join(sample(training.network, "", choice=Choice(temperature=0.7), seed=training.progress.step))
        run.append(SAMPLES, {"step": training.progress.step, "temperature": 0.7, "text": text})
    run.save_checkpoint(training.checkpoint())


def _stopped(run: Run, training: Loop, end: Record) -> Record:
    """Validate the weights at which a page has stopped a training, and return the record of its end."""
    counts = {name: end[name] for name in ("step", "symbols", "seconds")}
    record = counts | training.validate()
    run.append(HISTORY, record)
    _save_validated(run, training, record)
    return {**end, "reason": "stopped"}


def _final_score(run: Run, task: Task) -> Score:
    """Return the score of the best weights."""
    network, _ = run.network()
    return task.score(partial(predict, network))
