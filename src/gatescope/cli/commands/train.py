"""`gatescope train`: make a network learn, or go on."""

from __future__ import annotations

import glob
import inspect
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from gatescope.cli.app import LEARN, command
from gatescope.cli.common import RUNS, Flag, Json, UsageError, find_run, harmless, no_such, quoted, use_threads
from gatescope.cli.interrupt import Stop

if TYPE_CHECKING:
    from gatescope.runs import Run
    from gatescope.tasks import Task
    from gatescope.training import Outcome
    from gatescope.vocabulary import Vocabulary

NETWORK = Group.create_ordered("The network")
DATA = Group.create_ordered("What it reads")
TRAINING = Group.create_ordered("How it is trained")


@Parameter(name="*", group=NETWORK)
@dataclass(frozen=True)
class NetworkOptions:
    """What the network is; fixed when the run begins."""

    cell: str | None = None
    """What every layer is made of, one of `gatescope cells`, perhaps with other biases at the start, as in lstm:f=3; by
    default what the task recommends, an LSTM."""
    layers: int | None = None
    """How many recurrent layers; by default what the task recommends, which is 1 for all but copy."""
    neurons: Annotated[str | None, Parameter(metavar="N[,N...]")] = None
    """Neurons of every layer, or of each from the input upwards, as in 20,10; by default what the task recommends."""
    embedding: int | None = None
    """Numbers in the learned vector of each symbol; without it a symbol is one-hot."""
    dropout: float | None = None
    """The share of what the layers and the readout read that is left out while training."""
    both_ways: bool | None = None
    """Let every layer read in both directions, or only forward; by default what the task recommends."""


@Parameter(name="*", group=DATA)
@dataclass(frozen=True)
class DataOptions:
    """What the network reads; fixed when the run begins. Each option is a setting of some tasks, by the same name."""

    bytes: Flag = False
    """Read a text as the bytes of its UTF-8, not as characters."""
    unit: Literal["word", "token", "character"] | None = None
    """What is read of a text in one step, where its class is told: words and punctuation marks, what stands between
    white space, or characters."""
    test: Path | None = None
    """A file to test on; without it a part of the data is kept for that."""
    validation: Path | None = None
    """A file to choose the best weights by; without it a part of the data."""
    text: str | None = None
    """The column of the texts, by its name or number."""
    label: str | None = None
    """The column of the labels, by its name or number."""
    token: int | None = None
    """The number of the column of the tokens."""
    labels: Path | None = None
    """Of frames, the file of their labels, one a line."""
    validation_labels: Path | None = None
    """The labels of the frames of the validation file."""
    test_labels: Path | None = None
    """The labels of the frames of the test file."""
    parts: Annotated[str | None, Parameter(metavar="A,B,C")] = None
    """The shares of the data to train on, to validate on and to test on, as in 0.8,0.1,0.1."""
    names: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None
    """What the numbers of a frame are called."""
    columns: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None
    """The columns of numbers that are read."""
    target: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None
    """Which of these columns are predicted."""
    dates: str | None = None
    """The column that names the steps of a series, such as its dates."""
    order: Literal["dates", "file"] | None = None
    """Read a series in the order of its dates, the default, or in the order of the file."""
    date_order: Literal["dmy", "mdy", "ymd"] | None = None
    """How dates of three numbers are read: dmy for 31/12/2020, mdy for 12/31/2020."""
    duplicates: Literal["first", "last", "mean"] | None = None
    """Which row of a series counts where several have one date; without it they are refused where they differ."""
    decimal: str | None = None
    """What stands before the fraction of a number: a point, or a comma."""
    thousands: str | None = None
    """What stands between the thousands of a number, such as a comma, a point or a space."""
    window: int | None = None
    """Steps of a series in a row of a batch; 96 by default, fewer of a short series."""
    horizon: int | None = None
    """How many steps ahead are predicted."""
    season: int | None = None
    """Steps after which a series repeats itself, more or less; 1 for none. By its dates or its numbers by
    default."""
    interval: float | None = None
    """The share of what comes that a prediction interval should hold."""
    least: int | None = None
    """How often a word occurs at least that is a symbol."""
    most: int | None = None
    """How many words are symbols, the most frequent ones."""
    word_dropout: float | None = None
    """The share of words that is read as unknown while training."""
    skip_bad: Flag = False
    """Leave out what is wrong in a file of data instead of refusing it."""
    encoding: str | None = None
    """The encoding of the files, such as cp1252, gb18030 or shift_jis; UTF-8 by default."""
    merge_labels: Flag = False
    """Take labels that differ in spelling only, such as 1 and 1.0 or Good and good, for one class."""
    fill_missing: Flag = False
    """Put the value before in the place of one that is missing, and of a date that is missing."""
    batch: int | None = None
    """Sequences that are read side by side."""
    unroll: int | None = None
    """Steps of a text after which the weights change; no gradient goes further back."""
    shortest: int | None = None
    """The shortest string that is drawn (of some tasks, the smallest count in it)."""
    longest: int | None = None
    """The longest string that is drawn (or the largest count in it); of texts, the most steps that are trained on."""
    stop: float | None = None
    """The probability that a string is not made longer."""
    targets: Literal["drawn", "allowed"] | None = None
    """Of a^n b^n and a^n b^n c^n: teach the symbol that was drawn, or all that may follow."""
    opens: float | None = None
    """The probability that a bracket opens."""


@Parameter(name="*", group=TRAINING)
@dataclass(frozen=True)
class TrainingOptions:
    """How it is trained; what is not given is what the task recommends."""

    steps: int | None = None
    """The most updates of the weights, those already made included."""
    minutes: float | None = None
    """Train for this long instead, in all."""
    optimizer: Literal["adam", "rmsprop", "sgd"] | None = None
    """How the gradient changes the weights."""
    learning_rate: float | None = None
    """The largest learning rate."""
    schedule: Literal["cosine", "linear", "constant"] | None = None
    """How the learning rate falls."""
    clip: float | None = None
    """Scale gradients down to this norm."""
    readout_decay: float | None = None
    """How fast the readout's weights shrink, as a share of the learning rate: what it reads must then be exact."""
    patience: int | None = None
    """Stop after this many validations in a row without a better one."""
    until_solved: bool | None = None
    """Stop as soon as the task is solved, or go on nevertheless."""


@command(
    LEARN,
    "TASK|PATH... [OPTIONS]",
    "gatescope train counter                 # solved in seconds",
    "gatescope train copy --cell gru --neurons 30,20 --run runs/two-layers",
    "gatescope train text --minutes 5        # the Python standard library",
    "gatescope train notes/ 'more/*.md' --steps 5000",
    "gatescope train --resume --run runs/text --minutes 10",
)
def train(
    *what: Annotated[str, Parameter(name="WHAT", metavar="TASK|PATH")],
    network: NetworkOptions = NetworkOptions(),
    data: DataOptions = DataOptions(),
    training: TrainingOptions = TrainingOptions(),
    run: Path | None = None,
    seed: int | None = None,
    resume: Flag = False,
    from_best: Flag = False,
    start: Annotated[str | None, Parameter(name="--from", metavar="RUN")] = None,
    threads: int = 1,
    json: Json = False,
) -> int:
    """Train a network on a task or on a text, and keep everything in a run directory.

    Ctrl-C stops it; the run can be used, and goes on with `--resume`. A second Ctrl-C ends at once, and the run is then
    as it was at its last checkpoint.

    Parameters
    ----------
    what
        The name of a task (`gatescope tasks` lists them), or files, folders and patterns of UTF-8 text. `text` alone
        is the Python standard library on this machine. A file that has the name of a task is written ./counter.
    run
        The directory of the run; by default runs/ and the name of the task or file, with a number where that is taken.
    seed
        The seed of the first weights and of the data; the same seed gives the same losses. 0 by default.
    resume
        Go on with a run from its last checkpoint, perhaps with more steps or minutes.
    from_best
        With --resume: go on from the best weights with a fresh optimizer, as after a training that diverged, or in a
        copy without checkpoints. The history is kept.
    start
        Begin a new run with the best weights of this one, a directory or the name of a run in ./runs. The data must
        have the same symbols; the old run is not changed.
    threads
        Processor threads; with 128 neurons or more two are faster than one, where the machine does nothing else.
    """
    use_threads(threads)
    changes = {name: value for name, value in asdict(training).items() if value is not None}
    if "steps" in changes and "minutes" in changes:
        raise UsageError("COMPARE_STEPS_MINUTES_BOTH_GIVEN")
    if from_best and not resume:
        raise UsageError("TRAIN_BEST_RUN_GOES_RESUME")
    if resume:
        if start is not None:
            raise UsageError("TRAIN_BEGINS_NEW_RUN_RESUME")
        place = _to_resume(what, run, network, data, seed, changes)
        return follow(place, changes, json=json, created=False, from_best=from_best)
    place = begin(what, run, network, data, {**changes, "seed": seed}, None if start is None else find_run(start))
    return follow(place, {}, json=json, created=True)


def begin(
    what: Sequence[str],
    run: Path | None,
    network: NetworkOptions,
    data: DataOptions,
    changes: dict[str, Any],
    start: Run | None = None,
) -> Run:
    """A new run directory for a task or text, perhaps with the weights of another run.

    Raises:
        GatescopeError: something that was given cannot be used; nothing was written.
    """
    import sys

    from gatescope.training import Settings, create_run, recommended_network

    if not what:
        raise UsageError("TRAIN_SAY_LEARN_TASK_GATESCOPE")
    if run is not None and run.exists() and not (run.is_dir() and not any(run.iterdir())):
        raise UsageError("TRAIN_ALREADY_NAME_ANOTHER_DIRECTORY", run=run, resume_command=_resume_command(run))
    if start is not None:
        fixed = [name for name, value in asdict(network).items() if value is not None]
        if fixed:
            raise UsageError("TRAIN_NETWORK_LEAVE_OUT", replace=fixed[0].replace("_", "-"))
        task = task_for(what, data, start.configuration().vocabulary)
        settings = Settings.recommended(task, **changes)
        return create_run(str(run or free_place(default_name(what))), task, settings=settings, start=start)
    _check_cell(network.cell)
    task = task_for(what, data)
    sizes = _sizes(network, task.recommended.layers)
    configuration = recommended_network(
        task,
        network.cell,
        sizes,
        embedding=network.embedding,
        dropout=network.dropout,
        both_ways=network.both_ways,
    )
    settings = Settings.recommended(task, **changes)
    for note in task.notes:
        print(f"note: {harmless(note)}", file=sys.stderr)
    return create_run(str(run or free_place(default_name(what))), task, configuration, settings)


def task_for(what: Sequence[str], data: DataOptions, vocabulary: Vocabulary | None = None) -> Task:
    """The task of a name, with its files where it takes some, or the text task of paths.

    A vocabulary is that of a network that goes on with another text.

    Raises:
        GatescopeError: there is no such task or file, or an option does not fit the task.
    """
    from gatescope.tasks import TASKS

    name, *paths = what
    if name not in TASKS:
        name, paths = "text", [name, *paths]
    known = _settings_of(TASKS[name])
    given: dict[str, Any] = {
        option: _as_setting(option, value)
        for option, value in asdict(data).items()
        if value is not None and value is not False
    }
    if vocabulary is not None and "vocabulary" in known:
        given["vocabulary"] = vocabulary
    for option in given:
        if option not in known:
            others = [each for each, task in TASKS.items() if option in _settings_of(task)]
            flag = option.replace("_", "-")
            raise UsageError("TRAIN_SAYS_NOTHING_SETTING", flag=flag, name=name, others=", ".join(others))
    if "paths" not in known:
        if paths:
            raise UsageError("TRAIN_TASK_TAKES_FILES_LEAVE", name=name, paths=" ".join(paths))
        return TASKS[name](**given)
    for path in paths:
        if not Path(path).expanduser().exists() and not glob.has_magic(path):
            advice = f"the tasks are {', '.join(TASKS)}, and anything else is the path of a text"
            raise no_such("task and no file", path, TASKS if len(what) == 1 else (), advice)
    return TASKS[name](paths or None, **given)


def _as_setting(option: str, value: Any) -> Any:
    """A column by its number, and several by their names."""
    if option in ("text", "label", "dates") and value.isdigit():
        return int(value)
    if option == "parts":
        return _shares(value)
    return value.split(",") if option in ("columns", "target", "names") else value


def _shares(given: str) -> tuple[float, ...]:
    try:
        shares = tuple(map(float, given.split(",")))
    except ValueError:
        shares = ()
    if len(shares) != 3:
        raise UsageError("TRAIN_PARTS_THREE_SHARES", given=given)
    return shares


def _settings_of(task: type[Task]) -> set[str]:
    return set(inspect.signature(task).parameters)


def default_name(what: Sequence[str]) -> str:
    """What a run is called: the task, or the first file or folder without its ending."""
    from gatescope.tasks import TASKS

    path = next((entry for entry in what if entry not in TASKS), what[0])
    fixed = path if not glob.has_magic(path) else str(Path(path[: re.search(r"[*?[]", path).start()] + "x").parent)  # type: ignore[union-attr]
    stem = Path(fixed).expanduser().absolute().stem
    return re.sub(r"[^\w.-]+", "_", stem).strip("._") or "text"


def free_place(name: str) -> Path:
    """./runs/name, with the first number from 2 that is free where that is taken."""
    path, number = RUNS / name, 2
    while path.exists():
        path, number = RUNS / f"{name}-{number}", number + 1
    return path


def follow(run: Run, changes: dict[str, Any], *, json: bool, created: bool, from_best: bool = False) -> int:
    """Train a run, show how it goes, and say what to do next. Returns the exit status."""
    from gatescope.cli.progress import Progress, Quiet
    from gatescope.runs import HISTORY
    from gatescope.training import stored_settings
    from gatescope.training import train as learn

    before = 0 if created else max([*run.checkpoints(), *(r.get("step", 0) for r in run.read(HISTORY)), 0])
    try:
        settings = asdict(stored_settings(run, **changes))
        task = run.task()
        view = Quiet(run) if json else Progress(run, task, settings)
        with Stop() as stop, view:
            outcome = learn(run, on_record=view.see, stop=stop, from_best=from_best, **changes)
    except Exception:
        # Nothing was learned and nothing was there before: the place is free again.
        if created and not run.checkpoints():
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    if not json:
        if outcome.step == before and outcome.reason != "interrupted":
            print("nothing was left to do; train it longer with more --steps or --minutes, or with --no-until-solved")
        tell(run, outcome)
    return stop.status


def tell(run: Run, outcome: Outcome) -> None:
    """What came of a training, and the commands to go on with."""
    from gatescope.readout import SYMBOLS

    place = quoted(run.path)
    if outcome.reason == "interrupted":
        print(f"stopped after {outcome.step:,} steps; the run is usable; go on with: {_resume_command(run.path)}")
    else:
        reasons = {
            "solved": "the task is solved",
            "no improvement": "the validation loss had stopped falling",
            "finished": "all of the training was done",
        }
        print(f"{reasons[outcome.reason]} after {outcome.step:,} steps and {duration(outcome.seconds)}")
    if outcome.score is not None:
        print(f"score: {outcome.score.text}")
    print(f"run: {harmless(str(run.path))}\n")
    print(f"  look inside   gatescope explore {place}")
    configuration = run.configuration()
    if configuration.readout == SYMBOLS and not configuration.both_ways:
        print(f"  let it write  gatescope sample {place}{' --argmax' if configuration.vocabulary.end else ''}")
    else:
        print(f"  its neurons   gatescope label {place}")


def duration(seconds: float) -> str:
    """A time as a person says it, as in 3.2 s, 4:05 min or 1:02:03 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"


def _resume_command(path: Path) -> str:
    return f"gatescope train --resume --run {quoted(path)}"


def _check_cell(name: str | None) -> None:
    from gatescope.cells import CELLS, cell_of

    if name is None:
        return
    if (known := name.partition(":")[0]) not in CELLS:
        raise no_such("cell", known, CELLS, f"the cells are {', '.join(CELLS)}")
    cell_of(name)


def _sizes(network: NetworkOptions, usual: tuple[int, ...]) -> tuple[int, ...]:
    """The neurons of each layer."""
    count = network.layers
    if count is not None and count < 1:
        raise UsageError("TRAIN_LAYERS_NETWORK_LEAST", count=count)
    if network.neurons is None:
        given = list(usual) if count in (None, len(usual)) else [usual[0]]
    elif re.fullmatch(r"\d+(,\d+)*", network.neurons):
        given = [int(size) for size in network.neurons.split(",")]
    else:
        raise UsageError("TRAIN_NEURONS_WHOLE_NUMBER_LAYER", neurons=network.neurons)
    if len(given) == 1:
        given *= count or len(usual)
    if count is not None and len(given) != count:
        raise UsageError("TRAIN_NEURONS_NAMES_LAYERS_LAYERS", neurons=network.neurons, count=len(given), count2=count)
    return tuple(given)


def _to_resume(
    what: Sequence[str],
    run: Path | None,
    network: NetworkOptions,
    data: DataOptions,
    seed: int | None,
    changes: dict[str, Any],
) -> Run:
    """The run to go on with.

    Raises:
        UsageError: there is none, more than one is named, or an option would make it another run.
    """
    fixed = [name for options in (network, data) for name, value in asdict(options).items() if value]
    fixed += ["seed"] if seed is not None else []
    fixed += ["optimizer"] if "optimizer" in changes else []
    if fixed:
        raise UsageError("TRAIN_CHANGE_RUN_BEGUN_LEAVE", fixed=fixed[0])
    if (run is None and len(what) != 1) or (run is not None and what):
        raise UsageError("TRAIN_RESUME_GOES_RUN_LEARNS")
    given = str(run) if run is not None else what[0]
    begun_as = RUNS / default_name([given])
    taken_by_name = any((path / "network.json").is_file() for path in (Path(given), RUNS / given))
    return find_run(str(begun_as) if not taken_by_name and begun_as.is_dir() else given)
