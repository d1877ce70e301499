"""Live files at the command line: what leaves the machine before a file is written, and runs made of such files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatescope.cli.output import (
    format_file_size,
    phrase,
    print_line_note,
    print_message,
    print_note,
    print_table,
    shell_quoted,
    visible,
)
from gatescope.cli.usage import UsageError
from gatescope.messages import Message

if TYPE_CHECKING:
    from gatescope.explorer.live import LiveOptions, LiveRun, Sizes
    from gatescope.explorer.live.disclosure import Disclosure
    from gatescope.runs import Run

LIVE = "html"
PARTS = {
    "program": "SIZE_PROGRAM",
    "data": "SIZE_DATA",
    "rest": "SIZE_REST",
}
SHOWN_SYMBOLS = 12


def live_options(
    checkpoints: int | None, passages: int | None, *, half: bool, without_text: bool, findings: bool
) -> LiveOptions:
    """Return the options of a live file, with the defaults of those that were not given.

    Args:
        checkpoints: the number of earlier training steps.
        passages: the number of passages of each neuron and end.
        half: whether weights are stored in float16.
        without_text: whether texts of a corpus are left out.
        findings: whether views that somebody kept on the page are included.

    Raises:
        LiveFileError: a number is negative.
    """
    from gatescope.explorer.live import LiveOptions

    return LiveOptions(
        checkpoints=checkpoints or 0, passages=passages, half=half, text=not without_text, findings=findings
    )


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
    print_message("DISCLOSURE_TITLE", name=disclosure.name)
    symbols = " ".join(visible(symbol) for symbol in disclosure.symbols[:SHOWN_SYMBOLS])
    more = " ..." if len(disclosure.symbols) > SHOWN_SYMBOLS else ""
    steps = ", ".join(f"{step:,}" for step in disclosure.steps)
    rows = [
        (
            "DISCLOSURE_NAMES",
            phrase(
                "DISCLOSURE_NAMES_OF",
                task=disclosure.task,
                count=len(disclosure.symbols),
                symbols=f"{symbols}{more}",
            ),
        ),
        ("DISCLOSURE_OUTPUTS", ", ".join(disclosure.outputs[:SHOWN_SYMBOLS])),
        ("DISCLOSURE_TEXTS", "; ".join(_texts(disclosure)) or phrase("DISCLOSURE_NONE")),
        ("DISCLOSURE_NOTES", _counted("DISCLOSURE_NOTES_OF", len(disclosure.notes))),
        ("DISCLOSURE_TABLES", ", ".join(disclosure.tables) or phrase("DISCLOSURE_NONE")),
        ("DISCLOSURE_NUMBERS", phrase("DISCLOSURE_NUMBERS_OF", count=len(disclosure.steps), steps=steps)),
    ]
    print_table(("", ""), [(phrase(code), content) for code, content in rows if content])
    for note in disclosure.notes:
        print_line_note(note)
    print_message("DISCLOSURE_NO_PATH")
    if "labels" not in disclosure.tables:
        command = f"gatescope label {shell_quoted(Path(disclosure.name))}"
        print_note(Message("DISCLOSURE_NO_LABELS", command=command))


def _texts(disclosure: Disclosure) -> list[str]:
    kinds = {
        "DISCLOSURE_EXAMPLES": disclosure.examples,
        "DISCLOSURE_SAMPLES": disclosure.samples,
        "DISCLOSURE_PASSAGES": disclosure.passages,
        "DISCLOSURE_MISTAKES": disclosure.mistakes,
        "DISCLOSURE_FINDINGS": disclosure.findings,
    }
    return [phrase(code, **vars(texts)) for code, texts in kinds.items() if texts.count]


def _counted(code: str, count: int) -> str:
    return phrase(code, count=count) if count else phrase("DISCLOSURE_NONE")


def print_sizes(path: Path, sizes: Sizes) -> None:
    """Print the size of a live file, part by part."""
    shown = ", ".join(phrase(code, size=format_file_size(getattr(sizes, name))) for name, code in PARTS.items())
    print_message("LIVE_FILE_WRITTEN", path=path, size=format_file_size(sizes.total), parts=shown)


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
        print_note(Message("LIVE_FILE_OPENED", name=place.name))
    return folders
