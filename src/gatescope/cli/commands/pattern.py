"""`gatescope pattern`: find the neurons that are on in a passage only, and other places where they are on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.commands.passages import highlighted_passage
from gatescope.cli.options import Csv, ExampleText, Flag, Json, RunOrTrace, check_output_file, use_threads
from gatescope.cli.output import (
    format_number,
    format_range,
    localized_title,
    phrase,
    print_message,
    print_table,
    progress_bar,
    visible,
    write_tables,
)
from gatescope.cli.subject import is_trace, layer_of, read_text, recording, subject_of
from gatescope.cli.text_options import DEFAULT_TEXT, TextOptions
from gatescope.cli.usage import UsageError

if TYPE_CHECKING:
    from gatescope.studies import Table
    from gatescope.trace import Trace

CONTEXT_STEPS = 24


@command(STUDY_GROUP)
def pattern(
    run_or_trace: RunOrTrace,
    text: ExampleText = None,
    /,
    *,
    range: Annotated[str, Parameter(metavar="A:B")],  # noqa: A002  (the name of the option)
    source: TextOptions = DEFAULT_TEXT,
    sequence: int = 0,
    layer: str = "0",
    signal: str = "h",
    threshold: float | None = None,
    sign: Literal["positive", "negative", "both"] = "positive",
    anywhere: Flag = False,
    share: float = 1.0,
    count: int = 20,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Find the neurons that are on throughout a passage and off around it, and other places where they are on."""
    use_threads(1)
    from gatescope.studies.patterns import matches, near_misses, neurons_on

    check_output_file("--csv", csv)
    first, last = _parse_range(range)
    with _record_both(run_or_trace, text, source, sequence, json) as trace:
        layer_name = layer_of(trace, layer, signal)
        neurons = neurons_on(
            trace,
            layer_name,
            sequence,
            first,
            last,
            threshold,
            signal=signal,
            sign=sign,
            before=not anywhere,
            after=not anywhere,
        )
        tables = {"neurons": neurons, "misses": near_misses(trace, neurons)}
        if len(neurons):
            tables["places"] = matches(trace, neurons, share=share, count=count, context=CONTEXT_STEPS)
    write_tables(tables, lambda: _print_pattern(neurons, tables["misses"], tables.get("places")), json=json, csv=csv)


def _parse_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise UsageError("PATTERN_RANGE_FORM", range=text)
    return int(first), int(last or first)


@contextmanager
def _record_both(
    run_or_trace: str,
    text: str | None,
    source: TextOptions,
    sequence: int,
    quiet: bool,
) -> Iterator[Trace]:
    """Open a trace directory, or record a run's network on the text and then on the task's held-out text.

    Raises:
        UsageError: the text of a run has no such sequence. For a trace, the study raises its own error.
    """
    if is_trace(Path(run_or_trace)):
        with recording(run_or_trace, text, source) as recorded_trace:
            yield recorded_trace.trace
        return
    from gatescope.recording import recorded
    from gatescope.sources import sequences_of

    subject = subject_of(run_or_trace, options=TextOptions(characters=source.characters))
    shown = sequences_of(subject.network, read_text(subject.task, text, source.file, source.encoding))
    if not 0 <= sequence < len(shown):
        raise UsageError("PATTERN_SEQUENCE_UNKNOWN", sequence=sequence, last=len(shown) - 1)
    sequences = [*shown, *sequences_of(subject.network, subject.text)]
    with progress_bar("recording", quiet=quiet) as bar, recorded(subject.network, sequences, progress=bar) as trace:
        bar.finish()
        yield trace


def _print_pattern(neurons: Table, misses: Table, places: Table | None) -> None:
    about = neurons.about
    is_off_around = bool(about["before"])
    print_message("PATTERN_PASSAGE", text=visible(about["text"]))
    if about["chosen"]:
        _print_chosen(neurons, misses)
    print()
    if places is None:
        if not about["chosen"]:
            code = "PATTERN_NONE_AND_OFF_AROUND" if is_off_around else "PATTERN_NONE_ANYWHERE"
            print_message(code, layer=about["layer"], threshold=about["threshold"])
        _print_misses(misses)
        return
    count = len(neurons)
    code = "PATTERN_NEURONS_AND_OFF_AROUND" if is_off_around else "PATTERN_NEURONS_ANYWHERE"
    print_message(code, neurons=count, layer=about["layer"])
    print()
    print_table(
        ("neuron", "on if", f"mean {about['signal']} in passage", "on in all steps"),
        [
            (
                str(row["neuron"]),
                f"{'≥' if row['sign'] == 1 else '≤'} {format_number(row['bound'], 2)}",
                format_number(row["mean"]),
                f"{row['share']:.1%}",
            )
            for row in neurons
        ],
        right=("neuron", f"mean {about['signal']} in passage", "on in all steps"),
    )
    print()
    _print_misses(misses)
    required = places.about["needed"]
    _print_places_title(count, required, any_place=bool(len(places)))
    if not len(places):
        return
    print()
    rows = [
        (
            str(row["sequence"]),
            format_range(row["first"], row["last"]) if row["length"] > 1 else str(row["first"]),
            str(row["exact"]),
            str(row["on"]),
            highlighted_passage(row, CONTEXT_STEPS),
        )
        for row in places
    ]
    print_table(("sequence", "steps", "exact", "on", ""), rows, right=("sequence", "exact", "on"))
    print()
    print_message("PATTERN_PLACES", places=len(places), passages=places.about["runs"])


def _print_chosen(neurons: Table, misses: Table) -> None:
    """Print how the threshold was chosen, or why no neuron fits."""
    about = neurons.about
    values = {"layer": about["layer"], "threshold": about["threshold"]}
    if len(neurons):
        print_message("PATTERN_THRESHOLD_CHOSEN", **values)
    elif about["constant"] and not len(misses):
        print_message("PATTERN_NEURONS_CONSTANT", neurons=about["constant"], layer=about["layer"])
    else:
        print_message("PATTERN_NONE_AT_ANY_THRESHOLD", **values)


def _print_misses(misses: Table) -> None:
    """Print the neurons that nearly fit, and how they miss."""
    if not len(misses):
        return
    print_message("PATTERN_MISSES")
    print()
    steps = misses.about["steps"]
    around = {(0, 0): "", (1, 0): "before", (0, 1): "after", (1, 1): "before and after"}
    rows = [
        (
            str(row["neuron"]),
            f"{'≥' if row['sign'] == 1 else '≤'} {format_number(row['sign'] * misses.about['threshold'], 3)}",
            phrase("PATTERN_ON_AT", steps=row["on"], all=steps),
            localized_title("around", around[row["before"], row["after"]]),
        )
        for row in misses
    ]
    print_table(("neuron", "on if", "on at", "also on"), rows, right=("neuron",))
    print()


def _print_places_title(neurons: int, required: int, *, any_place: bool) -> None:
    """Print which of the neurons are on at the places, or at no place."""
    if neurons == 1:
        print_message("PATTERN_PLACES_OF_ONE" if any_place else "PATTERN_NO_PLACE_OF_ONE")
    elif neurons == required:
        print_message("PATTERN_PLACES_OF_ALL" if any_place else "PATTERN_NO_PLACE_OF_ALL")
    else:
        print_message("PATTERN_PLACES_OF_SOME" if any_place else "PATTERN_NO_PLACE_OF_SOME", required=required)
