"""`gatescope train`: train a network, or resume its training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import TRAIN_GROUP, command
from gatescope.cli.interrupt import Stop
from gatescope.cli.new_run import default_name, free_run_path, task_for
from gatescope.cli.options import Flag, Json, use_threads
from gatescope.cli.output import print_message, print_note, shell_quoted
from gatescope.cli.subject import RUNS, find_run
from gatescope.cli.train_options import DataOptions, NetworkOptions, TrainingOptions, layer_sizes
from gatescope.cli.usage import UsageError, unknown_name

if TYPE_CHECKING:
    from gatescope.runs import Run
    from gatescope.training import Outcome


DEFAULT_NETWORK, DEFAULT_DATA, DEFAULT_TRAINING = NetworkOptions(), DataOptions(), TrainingOptions()


@command(TRAIN_GROUP)
def train(
    *what: Annotated[str, Parameter(name="WHAT", metavar="TASK|PATH")],
    network: NetworkOptions = DEFAULT_NETWORK,
    data: DataOptions = DEFAULT_DATA,
    training: TrainingOptions = DEFAULT_TRAINING,
    run: Annotated[Path | None, Parameter(metavar="DIR")] = None,
    seed: int | None = None,
    resume: Flag = False,
    from_best: Flag = False,
    start: Annotated[str | None, Parameter(name="--from", metavar="RUN")] = None,
    threads: int = 1,
    json: Json = False,
) -> int:
    """Train a network on a task or on a text, and save everything in a run directory."""
    use_threads(threads)
    settings = {name: value for name, value in asdict(training).items() if value is not None}
    if "steps" in settings and "minutes" in settings:
        raise UsageError("TRAIN_STEPS_AND_MINUTES")
    if from_best and not resume:
        raise UsageError("TRAIN_FROM_BEST_WITHOUT_RESUME")
    if resume:
        if start is not None:
            raise UsageError("TRAIN_RESUME_AND_FROM")
        resumed = _run_to_resume(what, run, network, data, seed, settings)
        return train_and_print(resumed, settings, json=json, created=False, from_best=from_best)
    start_run = None if start is None else find_run(start)
    created = create_run(what, run, network, data, {**settings, "seed": seed}, start_run)
    return train_and_print(created, {}, json=json, created=True)


def create_run(
    what: Sequence[str],
    path: Path | None,
    network: NetworkOptions,
    data: DataOptions,
    settings: dict[str, Any],
    start: Run | None = None,
) -> Run:
    """Create the run directory of a task or text.

    Args:
        what: the name of a task, or paths.
        path: the run directory; None: a free name in ./runs.
        network: options of the network.
        data: options of the data.
        settings: settings of the training.
        start: the run whose best weights the new run starts from.

    Raises:
        GatescopeError: an option cannot be used. Nothing has been written.
    """
    from gatescope.training import Settings, recommended_network
    from gatescope.training import create_run as create_directory

    if not what:
        raise UsageError("TRAIN_TASK_MISSING", command="train")
    if path is not None and path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UsageError("TRAIN_RUN_EXISTS", run=path, command=_resume_command(path))
    if start is not None:
        fixed = [name for name, value in asdict(network).items() if value is not None]
        if fixed:
            raise UsageError("TRAIN_OPTION_FIXED_BY_FROM", option=fixed[0].replace("_", "-"))
        task = task_for(what, data, start.configuration().vocabulary)
        recommended = Settings.recommended(task, **settings)
        return create_directory(str(path or free_run_path(default_name(what))), task, settings=recommended, start=start)
    _check_cell(network.cell)
    task = task_for(what, data)
    configuration = recommended_network(
        task,
        network.cell,
        layer_sizes(network, task.recommended.layers),
        embedding=network.embedding,
        dropout=network.dropout,
        both_ways=network.both_ways,
    )
    recommended = Settings.recommended(task, **settings)
    for assumption in task.notes:
        print_note(assumption)
    return create_directory(str(path or free_run_path(default_name(what))), task, configuration, recommended)


def train_and_print(run: Run, settings: dict[str, Any], *, json: bool, created: bool, from_best: bool = False) -> int:
    """Train a run, show its progress, and print the outcome and the next commands.

    Args:
        run: the run.
        settings: settings of the training that differ from those of the run.
        json: print records as JSON instead.
        created: whether this command has created the run; it is removed again if the training fails at once.
        from_best: continue from the best weights.

    Returns:
        The exit status.
    """
    from gatescope.cli.progress import JsonRecords, TrainingProgress
    from gatescope.runs import HISTORY
    from gatescope.training import stored_settings
    from gatescope.training import train as train_run

    last_step = 0 if created else max([*run.checkpoints(), *(r.get("step", 0) for r in run.read(HISTORY)), 0])
    try:
        all_settings = asdict(stored_settings(run, **settings))
        view = JsonRecords(run) if json else TrainingProgress(run, run.task(), all_settings)
        with Stop() as stop, view:
            outcome = train_run(run, on_record=view.show, stop=stop, from_best=from_best, **settings)
    except Exception:
        if created and not run.checkpoints():
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    if not json:
        if outcome.step == last_step and outcome.reason != "interrupted":
            print_message("TRAIN_ALREADY_COMPLETE")
        print_outcome(run, outcome)
    return stop.status


def print_outcome(run: Run, outcome: Outcome) -> None:
    """Print the outcome of a training and the commands to continue with."""
    from gatescope.readout import SYMBOLS

    path = shell_quoted(run.path)
    if outcome.reason == "interrupted":
        print_message("TRAIN_STOPPED", steps=outcome.step, command=_resume_command(run.path))
    else:
        code = {
            "solved": "TRAIN_SOLVED",
            "no improvement": "TRAIN_NO_IMPROVEMENT",
            "finished": "TRAIN_COMPLETE",
            "stopped": "TRAIN_STOPPED_ON_PAGE",
        }[outcome.reason]
        print_message(code, steps=outcome.step, duration=format_duration(outcome.seconds))
    if outcome.score is not None:
        print_message("TRAIN_SCORE", score=outcome.score.message or outcome.score.text)
    print_message("TRAIN_RUN", run=run.path)
    print()
    print_message("NEXT_LOOK_INSIDE", command=f"gatescope explore {path}")
    configuration = run.configuration()
    if configuration.readout == SYMBOLS and not configuration.both_ways:
        argmax = " --argmax" if configuration.vocabulary.end else ""
        print_message("NEXT_SAMPLE", command=f"gatescope sample {path}{argmax}")
    else:
        print_message("NEXT_LABEL", command=f"gatescope label {path}")


def format_duration(seconds: float) -> str:
    """Format a duration, as in 3.2 s, 4:05 min or 1:02:03 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"


def _resume_command(path: Path) -> str:
    return f"gatescope train --resume --run {shell_quoted(path)}"


def _check_cell(name: str | None) -> None:
    from gatescope.cells import CELLS, cell_of

    if name is None:
        return
    if (base_name := name.partition(":")[0]) not in CELLS:
        raise unknown_name("Cell", base_name, CELLS)
    cell_of(name)


def _run_to_resume(
    what: Sequence[str],
    path: Path | None,
    network: NetworkOptions,
    data: DataOptions,
    seed: int | None,
    settings: dict[str, Any],
) -> Run:
    """Return the run that --resume names, by its directory, its name or the words that created it.

    Raises:
        UsageError: no run or more than one is named, or an option is fixed when a run begins.
    """
    from gatescope.runs import Run

    fixed = [name for options in (network, data) for name, value in asdict(options).items() if value]
    fixed += ["seed"] if seed is not None else []
    fixed += ["optimizer"] if "optimizer" in settings else []
    if fixed:
        raise UsageError("TRAIN_OPTION_FIXED", option=fixed[0].replace("_", "-"))
    if (path is None and len(what) != 1) or (path is not None and what):
        raise UsageError("TRAIN_RESUME_RUN_MISSING")
    name = str(path) if path is not None else what[0]
    default_path = RUNS / default_name([name])
    is_run = any(Run(candidate).exists for candidate in (Path(name), RUNS / name))
    # A run in training changes its own files, so they are read anew each time.
    return Run(find_run(str(default_path) if not is_run and default_path.is_dir() else name).path)
