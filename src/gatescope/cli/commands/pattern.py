"""`gatescope pattern`: which neurons are on exactly in this passage, and where else are they on together?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from gatescope.cli.app import FIND, command
from gatescope.cli.commands.passages import lined
from gatescope.cli.common import Encoding, Flag, Json, UsageError, is_trace, print_table, text_for, use_threads, visible
from gatescope.cli.studying import (
    Characters,
    Csv,
    File,
    Layer,
    Place,
    Signal,
    bar,
    check_csv,
    counted,
    deliver,
    layer_of,
    number,
    studied,
    subject_of,
)

if TYPE_CHECKING:
    from gatescope.studies import Table
    from gatescope.trace import Trace

CONTEXT = 24


@command(
    FIND,
    "RUN|TRACE [TEXT | --file FILE] --range A:B [OPTIONS]",
    "gatescope pattern counter aaaXbbb --range 4:6",
    'gatescope pattern runs/text "def name(self):" --range 8:13 --threshold 0.5',
    "gatescope pattern runs/text --range 10:20 --signal c --sign both --share 0.8",
)
def pattern(
    place: Place,
    text: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    range: Annotated[str, Parameter(metavar="A:B")],  # noqa: A002  (the name of the option)
    file: File = None,
    encoding: Encoding = None,
    characters: Characters = None,
    sequence: int = 0,
    layer: Layer = "0",
    signal: Signal = "h",
    threshold: float = 0.3,
    sign: Literal["positive", "negative", "both"] = "positive",
    anywhere: Flag = False,
    share: float = 1.0,
    count: int = 20,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Find the neurons that are on throughout a passage and off around it, and the other places where they are on.

    The places are looked for in the text and in what the task keeps from training. With --csv, they go to a second file
    whose name ends in -places.

    Parameters
    ----------
    text
        The text the passage is in; - reads the standard input; the first example of the task when nothing is given.
    range
        The passage, from step A to step B, both included and counted from 0.
    characters
        How much to search of the text that the task keeps from training; by default 100,000 characters of a text and
        4,000 of strings.
    sequence
        The sequence the passage is in, where the text is of several, counted from 0.
    threshold
        From which value on a neuron is on.
    sign
        On above the threshold, below minus the threshold, or either.
    anywhere
        Do not ask that the neurons are off before and after the passage.
    share
        How many of the neurons have to be on together at another place.
    count
        How many places.
    """
    use_threads(1)
    from gatescope.studies.patterns import matches, neurons_on

    check_csv(csv)
    first, last = _range(range)
    with _recorded(place, text, file, encoding, characters, sequence, json) as trace:
        name = layer_of(trace, layer, signal)
        found = neurons_on(
            trace,
            name,
            sequence,
            first,
            last,
            threshold,
            signal=signal,
            sign=sign,
            before=not anywhere,
            after=not anywhere,
        )
        tables = {"neurons": found}
        if len(found):
            tables["places"] = matches(trace, found, share=share, count=count, context=CONTEXT)
    deliver(tables, lambda: _print(found, tables.get("places")), json=json, csv=csv)


def _range(given: str) -> tuple[int, int]:
    first, _, last = given.partition(":")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise UsageError("PATTERN_RANGE_FORM_STEPS_COUNT", given=given)
    return int(first), int(last or first)


@contextmanager
def _recorded(
    place: str,
    text: str | None,
    file: Path | None,
    encoding: str | None,
    characters: int | None,
    sequence: int,
    quiet: bool,
) -> Iterator[Trace]:
    """What a trace directory holds; of a run, its network on the text and, after that, on what the task keeps."""
    if is_trace(Path(place)):  # studies say themselves that it has no such sequence
        with studied(place, text, file, encoding=encoding, characters=characters) as about:
            yield about.trace
        return
    from gatescope.recording import recorded, sequences_of

    about = subject_of(place, None, None, characters=characters)
    given = sequences_of(about.network, text_for(about.task, text, file, encoding))
    if not 0 <= sequence < len(given):
        raise UsageError("PATTERN_SEQUENCE_TEXT", sequence=sequence, counted=counted(len(given), "sequence"))
    sequences = [*given, *sequences_of(about.network, about.text)]
    with bar("recording", quiet=quiet) as tell, recorded(about.network, sequences, progress=tell) as trace:
        tell.finish()
        yield trace


def _print(found: Table, places: Table | None) -> None:
    about = found.about
    off = " and off before and after it" if about["before"] else ""
    print(f"The passage: {visible(about['text'])}\n")
    if places is None:
        print(
            f"No neuron of {about['layer']} is on throughout it{off}, at a threshold of {about['threshold']:g}; "
            "try a lower --threshold, or --anywhere."
        )
        return
    are = "is" if len(found) == 1 else "are"
    print(f"{counted(len(found), 'neuron')} of {about['layer']} {are} on throughout it{off}:\n")
    print_table(
        ("neuron", "on", f"mean {about['signal']} there", "on in all"),
        [
            (
                str(row["neuron"]),
                f"{'≥' if row['sign'] == 1 else '≤'} {number(row['bound'], 2)}",
                number(row["mean"]),
                f"{row['share']:.1%}",
            )
            for row in found
        ],
        right=("neuron", f"mean {about['signal']} there", "on in all"),
    )
    needed = places.about["needed"]
    which = "all of them" if needed == len(found) else f"at least {needed} of them"
    if len(found) == 1:
        which = "it"
    if not len(places):
        print(f"\nThere is no other place where {which} {are} on.")
        return
    print(f"\nOther places where {which} {are} on, the most alike first:\n")
    rows = [
        (
            str(row["sequence"]),
            f"{row['first']} to {row['last']}" if row["length"] > 1 else str(row["first"]),
            str(row["exact"]),
            str(row["on"]),
            lined(row, CONTEXT),
        )
        for row in places
    ]
    print_table(("sequence", "steps", "exactly there", "on", ""), rows, right=("sequence", "exactly there", "on"))
    runs = places.about["runs"]
    print(f"\n{counted(len(places), 'place')} of {counted(runs, 'passage')}, the one above included.")
