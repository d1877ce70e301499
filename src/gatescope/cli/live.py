"""Live files at the command line: what leaves the machine before a file is written, and runs made of such files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatescope.cli.output import count_of, format_file_size, harmless, print_note, print_table, shell_quoted, visible
from gatescope.cli.usage import UsageError

if TYPE_CHECKING:
    from gatescope.explorer.live import LiveOptions, LiveRun, Sizes
    from gatescope.explorer.live.disclosure import Disclosure, Texts
    from gatescope.runs import Run

LIVE = "html"
SIZES = ("total", "page", "worker", "kernels", "data", "rest")
SHOWN_SYMBOLS = 12


def live_options(checkpoints: int | None, passages: int | None, *, half: bool, without_text: bool) -> LiveOptions:
    """Return the options of a live file, with the defaults of those that were not given.

    Args:
        checkpoints: the number of earlier training steps.
        passages: the number of passages of each neuron and end.
        half: whether weights are stored in float16.
        without_text: whether texts of a corpus are left out.

    Raises:
        LiveFileError: a number is negative.
    """
    from gatescope.explorer.live import LiveOptions

    return LiveOptions(checkpoints=checkpoints or 0, passages=passages, half=half, text=not without_text)


def collect(runs: Sequence[Run], options: LiveOptions, *, quiet: bool) -> list[LiveRun]:
    """Collect what leaves the machine about some runs, and print it before anything is written.

    Args:
        runs: the runs.
        options: what to include.
        quiet: whether to print nothing.

    Raises:
        GatescopeError: a run cannot be read or is too large.
    """
    from gatescope.explorer.live import live_run
    from gatescope.explorer.live.disclosure import Disclosure

    lives = []
    for run in runs:
        live = live_run(run, options)
        lives.append(live)
        if not quiet:
            print_disclosure(Disclosure.of(live))
            if live.half is not None:
                print(live.half.sentence)
    return lives


def print_disclosure(disclosure: Disclosure) -> None:
    """Print every kind of text, name and note that leaves the machine with a run."""
    print(harmless(f"This leaves the machine of the run {disclosure.name}:"), flush=True)
    symbols = " ".join(visible(symbol) for symbol in disclosure.symbols[:SHOWN_SYMBOLS])
    more = " ..." if len(disclosure.symbols) > SHOWN_SYMBOLS else ""
    steps = ", ".join(f"{step:,}" for step in disclosure.steps)
    rows = [
        (
            "names",
            f"the run, the task {disclosure.task}, {count_of(len(disclosure.symbols), 'symbol')}: {symbols}{more}",
        ),
        ("outputs", ", ".join(disclosure.outputs[:SHOWN_SYMBOLS])),
        ("texts", "; ".join(filter(None, _texts(disclosure))) or "none"),
        ("notes", f"{count_of(len(disclosure.notes), 'note')}" if disclosure.notes else "none"),
        ("tables", ", ".join(disclosure.tables) or "none"),
        ("numbers", f"settings, history, weights of {'step' if len(disclosure.steps) == 1 else 'the steps'} {steps}"),
    ]
    print_table(("", ""), [row for row in rows if row[1]])
    for note in disclosure.notes:
        print(f"note: {harmless(note)}")
    print("No path of this machine leaves it.", flush=True)
    if "labels" not in disclosure.tables:
        command = f"gatescope label {shell_quoted(Path(disclosure.name))}"
        print_note(f"The run has no labels. `{command}` finds them; then export it again.")


def _texts(disclosure: Disclosure) -> list[str]:
    kinds = {"example": disclosure.examples, "sample": disclosure.samples, "passage": disclosure.passages}
    kinds["quoted mistake"] = disclosure.mistakes
    return [_count(texts, kind) for kind, texts in kinds.items()]


def _count(texts: Texts, kind: str) -> str:
    return f"{count_of(texts.count, kind)} of {count_of(texts.characters, 'character')}" if texts.count else ""


def print_sizes(path: Path, sizes: Sizes) -> None:
    """Print the size of a live file, part by part."""
    shown = ", ".join(f"{name} {format_file_size(getattr(sizes, name))}" for name in SIZES[1:])
    print(f"{harmless(str(path))}: {format_file_size(sizes.total)} ({shown}).")


def refuse_options(format_name: str, given: dict[str, Any]) -> None:
    """Refuse options that do not apply to a format.

    Args:
        format_name: the format, such as "onnx".
        given: option -> its value; None or False if it was not given.

    Raises:
        UsageError: an option was given.
    """
    for option, value in given.items():
        if value is not None and value is not False:
            raise UsageError("EXPORT_OPTION_OF_OTHER_FORMAT", option=option, format=format_name)


def explored_places(places: Sequence[Path], folder: Path) -> list[Path]:
    """Return folders to explore: a live file becomes a folder of its runs.

    Args:
        places: run directories, folders of runs and live files.
        folder: an existing folder for the runs of live files.

    Raises:
        GatescopeError: a live file cannot be read.
    """
    from gatescope.explorer.live import is_live_file, restore_all

    folders = []
    for number, place in enumerate(places):
        if not is_live_file(place):
            folders.append(place)
            continue
        copies = folder / str(number)
        copies.mkdir()
        restore_all(place, copies)
        folders.append(copies)
        print_note(
            f"{place.name} is opened as a copy, which ends with the explorer. `gatescope adopt` keeps it as a run."
        )
    return folders
