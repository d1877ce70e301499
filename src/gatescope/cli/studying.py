"""What the commands that find something out share: what they are about, how far they are, how they tell it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from gatescope.cli.common import (
    UsageError,
    find_run,
    harmless,
    is_trace,
    no_such,
    print_json,
    text_for,
    warn_of_unknown,
)

if TYPE_CHECKING:
    from gatescope.features import Family, Feature
    from gatescope.studies import Subject, Table
    from gatescope.trace import Trace

Number = TypeVar("Number", int, float)
Tell = Callable[[int, int], None]

Run = Annotated[str, Parameter(help="A run directory, or the name of a run in ./runs.")]
Place = Annotated[
    str,
    Parameter(
        name="RUN",
        metavar="RUN|TRACE",
        help="A run directory, the name of a run in ./runs, or a trace directory that `gatescope record --out` wrote.",
    ),
]
Text = Annotated[
    str | None,
    Parameter(
        allow_leading_hyphen=True,
        help="What the network reads; - reads the standard input; what the task keeps from training when nothing is "
        "given.",
    ),
]
File = Annotated[Path | None, Parameter(help="Take the text from this file.")]
Characters = Annotated[
    int | None,
    Parameter(help="How much of the text; by default 4,000 of strings and 100,000 of anything else."),
]
Lexer = Annotated[
    str | None,
    Parameter(help="A name of Pygments, where the text is a program; by default that of the names of the files."),
]
Own = Annotated[
    tuple[str, ...],
    Parameter(
        name="--feature",
        metavar="NAME=REGEX",
        negative="",
        show_default=False,
        help="A feature of your own, by a regular expression; may be given several times.",
    ),
]
Layer = Annotated[
    str, Parameter(help="The layer, counted from 0; 0_reverse is the one that reads from the end, where there is one.")
]
Signal = Annotated[str, Parameter(help="The signal, by its name in the equations of the cell.")]
Csv = Annotated[Path | None, Parameter(name="--csv", metavar="FILE", help="Write the table to this file, too.")]
All = Annotated[
    bool, Parameter(name="--all", negative="", show_default=False, help="Print every row, not only the first ones.")
]


@dataclass(frozen=True)
class Studied:
    """What a study reads.

    Attributes:
        trace: every signal at every step.
        families: whose features of the text are taken.
        subject: the network and its run; None for a trace directory.
    """

    trace: Trace
    families: Sequence[Family]
    subject: Subject | None

    def features(self) -> list[Feature]:
        """The features at every place of the trace."""
        from gatescope.studies import Steps, features_of

        if self.subject is not None:
            return features_of(self.subject, self.trace)
        return Steps(self.trace).features(self.families)


@contextmanager
def studied(
    place: str,
    text: str | None,
    file: Path | None,
    *,
    characters: int | None = None,
    lexer: str | None = None,
    own: Sequence[str] = (),
    only: bool = False,
    encoding: str | None = None,
    quiet: bool = False,
) -> Iterator[Studied]:
    """A run's network on a text, recorded, or what a trace directory holds.

    Raises:
        UsageError: options that do not go together.
    """
    more = own_families(own)
    if only and not more:
        raise UsageError("STUDYING_LEAVES_FEATURES_FEATURE_ALONE")
    if is_trace(Path(place)):
        if any(each is not None for each in (text, file, characters, encoding)):
            raise UsageError("STUDYING_TRACE_HOLDS_OWN_TEXT", place=place)
        from gatescope.features import choose
        from gatescope.readout import SYMBOLS, Readout
        from gatescope.storage import open_trace

        trace = open_trace(place)
        if not len(trace.lengths) or not int(trace.lengths.sum()):
            raise UsageError("STUDYING_TRACE_STEPS_RECORD_TEXT", place=place)
        every = "".join(trace.text(sequence) for sequence in range(len(trace.lengths)))
        readout = Readout.from_json(trace.attributes["readout"]) if "readout" in trace.attributes else SYMBOLS
        fitting = [] if only else choose(every, lexer, vocabulary=trace.vocabulary, readout=readout)
        yield Studied(trace, [*fitting, *more], None)
        return
    about = subject_of(place, text, file, characters=characters, lexer=lexer, own=own, only=only, encoding=encoding)
    with bar("recording", quiet=quiet) as tell, about.trace(tell) as trace:
        tell.finish()
        yield Studied(trace, about.families, about)


def subject_of(
    place: str,
    text: str | None,
    file: Path | None,
    *,
    characters: int | None = None,
    lexer: str | None = None,
    own: Sequence[str] = (),
    only: bool = False,
    encoding: str | None = None,
) -> Subject:
    """A run's network and a text to study it on.

    Raises:
        UsageError: there is no such run, or a number or a feature makes no sense.
    """
    from gatescope.features import tokens
    from gatescope.studies import subject

    if characters is not None and characters < 1:
        raise UsageError("STUDYING_CHARACTERS", characters=characters)
    more = own_families(own)
    run = find_run(place)
    source = None
    if text is not None or file is not None or encoding is not None:
        source = text_for(run.task(), text, file, encoding)[:characters]
    if file is not None and lexer is None:
        lexer = tokens.lexer_of(file.name)
    about = subject(run, text=source, characters=characters, lexer=lexer, more=more)
    if source is not None:
        warn_of_unknown(about.network.configuration.vocabulary, source)
    return replace(about, families=more) if only else about


def own_families(given: Sequence[str]) -> list[Family]:
    """The features of --feature NAME=REGEX.

    Raises:
        UsageError: it is not of this form.
        FeatureError: a name that cannot be used, or no regular expression.
    """
    from gatescope.features import pattern

    found = []
    for one in given:
        name, equals, expression = one.partition("=")
        if not equals or not expression:
            raise UsageError("STUDYING_FEATURE_FORM_NAME_REGEX", one=one)
        found.append(pattern(name, expression))
    return found


def layer_named(given: str, names: Sequence[str]) -> str:
    """The layer of a name, whole or without "layer": 0, 0_reverse, layer0_reverse.

    Raises:
        UsageError: there is none.
    """
    from gatescope.studies.common.layers import full_name, short

    name = full_name(given, names)
    if name is None:
        numbers = [short(each) for each in names]
        there = f"the layers are {', '.join(numbers)}" if len(names) > 1 else f"the only layer is {numbers[0]}"
        raise no_such("layer", given, [*names, *numbers], there)
    return name


def check_signal(given: str, names: Sequence[str]) -> str:
    """A signal of a layer.

    Raises:
        UsageError: there is none of this name.
    """
    there = [name for name in names if "." not in name]
    if given not in there:
        raise no_such("signal", given, there, f"the signals are {', '.join(there)}")
    return given


def check_neuron(given: int, count: int) -> int:
    """A neuron of a layer.

    Raises:
        UsageError: it has no such neuron.
    """
    if not 0 <= given < count:
        raise UsageError("STUDYING_NEURON_LAYER", given=given, value=count - 1)
    return given


def layer_of(trace: Trace, layer: str, signal: str, neuron: int | None = None) -> str:
    """The name of a layer of a trace that has this signal, and this neuron.

    Raises:
        UsageError: there is no such layer, signal or neuron.
    """
    name = layer_named(layer, list(trace.layers))
    check_signal(signal, list(trace[name]))
    if neuron is not None:
        check_neuron(neuron, trace[name][signal].shape[2])
    return name


def numbers(option: str, given: str, kind: type[Number]) -> list[Number]:
    """Numbers with commas between them.

    Raises:
        UsageError: something else.
    """
    try:
        found = [kind(part) for part in given.split(",")]
    except ValueError as error:
        what = "whole numbers" if kind is int else "numbers"
        raise UsageError("STUDYING_LIST_COMMAS_BETWEEN", option=option, given=given, what=what) from error
    return found


class Bar:
    """A bar on the terminal: how far a long piece of work is. Called with what is done, and of how much."""

    def __init__(self, what: str, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn(what, markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._shown = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
        self._entry = self._shown.add_task("", total=None)

    def __call__(self, done: int, total: int) -> None:
        """Say how far it is."""
        self._shown.update(self._entry, completed=done, total=total)

    def start(self) -> None:
        """Show it."""
        self._shown.start()

    def finish(self) -> None:
        """Take it away; once more is no harm."""
        self._shown.stop()


@contextmanager
def bar(what: str, *, quiet: bool = False) -> Iterator[Bar]:
    """Show a bar for as long as the block takes, or until its `finish`; none in a pipe, or where it is to be quiet."""
    shown = Bar(what, quiet=quiet)
    shown.start()
    try:
        yield shown
    finally:
        shown.finish()


@contextmanager
def keeping(about: Subject | None, default: bool) -> Iterator[Callable[[str, Table], None]]:
    """Keep answers with the run, where they are those of the settings that everybody looks at.

    A network that is in training may have other weights at the end than those that were studied; then nothing is kept.
    """
    from gatescope.runs import RunError
    from gatescope.studies import save
    from gatescope.studies.common.subjects import weights_mark

    if about is None or not default:
        yield lambda _name, _table: None
        return
    run, mark = about.run, weights_mark(about.run)

    def keep_it(name: str, table: Table) -> None:
        if weights_mark(run) != mark:
            note("the network went on learning meanwhile, so this is not kept with the run.")
            return
        try:
            save(run, name, table)
        except RunError as error:
            note(f"this is not kept with the run: {error}")

    yield keep_it


def note(sentence: str) -> None:
    """Something that whoever typed the command should know."""
    import sys

    print(f"note: {harmless(sentence)}", file=sys.stderr)


def check_csv(csv: Path | None) -> None:
    """Refuse a file that cannot be written before the work is done.

    Raises:
        UsageError: there is no such folder, or it is one.
    """
    if csv is not None and (csv.is_dir() or not csv.parent.is_dir()):
        what = "is a folder" if csv.is_dir() else f"cannot be written: there is no folder {csv.parent}"
        raise UsageError("STUDYING_CSV_NAME_FILE", csv=csv, what=what)


def deliver(found: Table | Mapping[str, Table], show: Callable[[], None], *, json: bool, csv: Path | None) -> None:
    """Print what was found, as JSON or for people, and write it to files.

    Of several tables the first goes to the file that was named, and each other one beside it, under its own name.
    """
    from gatescope.studies import Table

    tables = {"": found} if isinstance(found, Table) else found
    written = []
    for place, (name, table) in enumerate(tables.items()):
        if csv is not None:
            path = csv if place == 0 else csv.with_name(f"{csv.stem}-{name}{csv.suffix}")
            table.to_csv(path)
            written.append((path, table))
    if json:
        print_json(found.to_json() if isinstance(found, Table) else {name: t.to_json() for name, t in found.items()})
        return
    show()
    for path, table in written:
        print(f"\n{harmless(str(path))}: {counted(len(table), 'row')} of {counted(len(table.columns), 'column')}")


def number(value: Any, digits: int = 3) -> str:
    """A number as it is printed; nothing for one that is not known."""
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:,.{digits}f}".replace("-", "−") if abs(value) >= 0.5 * 10**-digits else f"{0:.{digits}f}"


def counted(count: int, what: str) -> str:
    """A number of things: "1 neuron", "2,000 neurons"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def several(layers: Sequence[Any]) -> bool:
    """Whether more than one layer is told of, so that each row has to say which."""
    return len(set(layers)) > 1
