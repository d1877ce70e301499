"""The subject of a command: a run, a text, a recording, and the layer, signal and neuron that its options name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gatescope.cli.options import parse_features
from gatescope.cli.output import print_note, print_unknown_symbols, progress_bar
from gatescope.cli.text_options import DEFAULT_FEATURES, DEFAULT_TEXT, FeatureOptions, TextOptions
from gatescope.cli.usage import UsageError, check_at_least_one, unknown_name
from gatescope.messages import Message

if TYPE_CHECKING:
    from gatescope.features import Family, Feature
    from gatescope.runs import Run
    from gatescope.studies import Subject, Table
    from gatescope.tasks import Task
    from gatescope.trace import Trace
    from gatescope.vocabulary import Vocabulary

RUNS = Path("runs")


@dataclass(frozen=True)
class Recording:
    """A recorded text that a study reads.

    Attributes:
        trace: every signal at every step.
        families: the families of features that describe its text.
        subject: the run, its network and the text; None for a trace directory.
    """

    trace: Trace
    families: Sequence[Family]
    subject: Subject | None

    def features(self) -> list[Feature]:
        """Return the features at every step of the trace."""
        from gatescope.studies import Steps, features_of

        if self.subject is not None:
            return features_of(self.subject, self.trace)
        return Steps(self.trace).features(self.families)


def find_run(name: str) -> Run:
    """Return the run in a directory, or the run of a name in ./runs.

    Raises:
        UsageError: no such run exists.
    """
    from gatescope.cli.opened import OpenedRun
    from gatescope.runs import find_runs

    for path in (Path(name), RUNS / name):
        if OpenedRun(path).exists:
            return OpenedRun(path)
    if Path(name).is_dir():
        raise UsageError("CLI_FOLDER_NOT_A_RUN", folder=name, runs=RUNS)
    names = [run.name for run in find_runs([RUNS])]
    raise unknown_name("Run", name, names) if names else UsageError("CLI_NO_RUNS", name=name, runs=RUNS)


def is_trace(path: Path) -> bool:
    """Return whether a path is a trace directory."""
    return (path / "zarr.json").is_file()


def read_text(task: Task, text: str | None, file: Path | None, encoding: str | None = None) -> str:
    """Return the text of an argument, of standard input ("-") or of a file; by default the task's first example.

    Args:
        task: the task whose first example is the default.
        text: the text, or "-".
        file: the file.
        encoding: encoding of the file or of standard input. None: UTF-8, or what a byte order mark says.

    Raises:
        UsageError: a text and a file were given, or an encoding without a file or "-".
        TaskError: the file does not exist, is empty or has another encoding.
    """
    from gatescope.tasks.data.corpus import read
    from gatescope.tasks.data.encodings import decoded

    if text is not None and file is not None:
        raise UsageError("CLI_TEXT_AND_FILE")
    if encoding is not None and file is None and text != "-":
        raise UsageError("CLI_ENCODING_WITHOUT_FILE")
    if file is not None:
        return read([file], encoding=encoding).text
    if text == "-":
        stream = getattr(sys.stdin, "buffer", None)
        return sys.stdin.read() if stream is None else decoded(stream.read(), "standard input", encoding)
    return task.examples()[0] if text is None else text


def default_prime(task: Task, vocabulary: Vocabulary) -> str:
    """Return the first symbol of the first example of a task with an end mark; "" for other tasks."""
    if vocabulary.end is None:
        return ""
    example = task.examples()[0]
    return vocabulary.labels(example)[0] if vocabulary.in_words else example[:1]


def print_adoption(task: Task) -> None:
    """Print to stderr what was assumed when a network was adopted, and how well it predicts."""
    from gatescope.tasks import Adopted

    if isinstance(task, Adopted):
        for assumption in task.notes:
            print_note(assumption)
        if task.measured is not None and task.warning is None:
            print(Message("ADOPTED_SCORE", score=task.measured.text), file=sys.stderr)


@contextmanager
def recording(
    run_or_trace: str | Run,
    text: str | None,
    options: TextOptions = DEFAULT_TEXT,
    features: FeatureOptions = DEFAULT_FEATURES,
    *,
    quiet: bool = False,
) -> Iterator[Recording]:
    """Record a run's network on a text, or open a trace directory.

    Args:
        run_or_trace: a run or a trace directory.
        text: the text, or "-" for standard input.
        options: the options of the text.
        features: the options of its features.
        quiet: show no progress bar.

    Raises:
        UsageError: the options do not go together.
    """
    own_families = parse_features(features.feature)
    if features.only and not own_families:
        raise UsageError("CLI_ONLY_WITHOUT_FEATURE")
    if isinstance(run_or_trace, str) and is_trace(Path(run_or_trace)):
        if text is not None or options != DEFAULT_TEXT:
            raise UsageError("CLI_TRACE_WITH_TEXT", trace=run_or_trace)
        yield _recording_of_trace(run_or_trace, features.lexer, own_families, features.only)
        return
    subject = subject_of(run_or_trace, text, options, features)
    with progress_bar("recording", quiet=quiet) as bar, subject.trace(bar) as trace:
        bar.finish()
        yield Recording(trace, subject.families, subject)


def _recording_of_trace(path: str, lexer: str | None, own_families: Sequence[Family], only: bool) -> Recording:
    from gatescope.features import choose
    from gatescope.readout import SYMBOLS, Readout
    from gatescope.storage import open_trace

    trace = open_trace(path)
    if not len(trace.lengths) or not int(trace.lengths.sum()):
        raise UsageError("CLI_TRACE_EMPTY", trace=path)
    text = "".join(trace.text(sequence) for sequence in range(len(trace.lengths)))
    readout = Readout.from_json(trace.attributes["readout"]) if "readout" in trace.attributes else SYMBOLS
    families = [] if only else choose(text, lexer, vocabulary=trace.vocabulary, readout=readout)
    return Recording(trace, [*families, *own_families], None)


def subject_of(
    run_or_name: str | Run,
    text: str | None = None,
    options: TextOptions = DEFAULT_TEXT,
    features: FeatureOptions = DEFAULT_FEATURES,
) -> Subject:
    """Return a run's network and the text to study it on. The arguments are those of `recording`.

    Raises:
        UsageError: no such run exists, or an option has an impossible value.
    """
    from gatescope.features import tokens
    from gatescope.studies import subject

    file, encoding, characters = options.file, options.encoding, options.characters
    check_at_least_one(characters=characters)
    own_families = parse_features(features.feature)
    run = find_run(run_or_name) if isinstance(run_or_name, str) else run_or_name
    source = None
    if text is not None or file is not None or encoding is not None:
        source = read_text(run.task(), text, file, encoding)[:characters]
    lexer = features.lexer
    if file is not None and lexer is None:
        lexer = tokens.lexer_of(file.name)
    studied = subject(run, text=source, characters=characters, lexer=lexer, more=own_families)
    if source is not None:
        print_unknown_symbols(studied.network.configuration.vocabulary, source)
    return replace(studied, families=own_families) if features.only else studied


@contextmanager
def saving(subject: Subject | None, is_default: bool) -> Iterator[Callable[[str, Table], None]]:
    """Yield a function that saves the tables of a study in the run directory, where the explorer shows them.

    Only tables of the default settings are saved. If training has changed the weights meanwhile, nothing is saved.

    Args:
        subject: the subject of the study; None for a trace directory.
        is_default: whether every option has its default.
    """
    from gatescope.runs import RunError
    from gatescope.studies import save as save_table

    if subject is None or not is_default:
        yield lambda _name, _table: None
        return
    run, mark = subject.run, subject.run.weights_mark()

    def save(name: str, table: Table) -> None:
        if run.weights_mark() != mark:
            print_note(Message("SAVING_WEIGHTS_CHANGED"))
            return
        try:
            save_table(run, name, table)
        except RunError as error:
            print_note(Message("SAVING_FAILED", reason=error))

    yield save


def layer_named(layer: str, names: Sequence[str]) -> str:
    """Return the full name of a layer: "layer0_reverse" for 0_reverse.

    Raises:
        UsageError: no such layer exists.
    """
    name = next((name for name in names if layer in (name, name.removeprefix("layer"))), None)
    if name is None:
        raise unknown_name("Layer", layer, [name.removeprefix("layer") for name in names])
    return name


def check_signal(signal: str, names: Sequence[str]) -> None:
    """Refuse a name that is not a signal. Drives, which have a dot in their names, are not signals.

    Raises:
        UsageError: no such signal exists.
    """
    signals = [name for name in names if "." not in name]
    if signal not in signals:
        raise unknown_name("Signal", signal, signals)


def check_neuron(neuron: int, count: int) -> None:
    """Refuse a number that is not a neuron of a layer of `count` neurons.

    Raises:
        UsageError: the layer has no such neuron.
    """
    if not 0 <= neuron < count:
        raise UsageError("CLI_NEURON_UNKNOWN", neuron=neuron, last=count - 1)


def layer_of(trace: Trace, layer: str, signal: str, neuron: int | None = None) -> str:
    """Return the full name of a layer of a trace that has this signal and this neuron.

    Raises:
        UsageError: no such layer, signal or neuron exists.
    """
    name = layer_named(layer, list(trace.layers))
    check_signal(signal, list(trace[name]))
    if neuron is not None:
        check_neuron(neuron, trace[name][signal].shape[2])
    return name
