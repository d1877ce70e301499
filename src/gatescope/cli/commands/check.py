"""`gatescope check`: does what was recorded satisfy the equations?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gatescope.cli.app import LOOK, command
from gatescope.cli.common import (
    Encoding,
    Json,
    UsageError,
    find_run,
    is_trace,
    print_json,
    print_table,
    text_for,
    use_threads,
    warn_of_unknown,
)

if TYPE_CHECKING:
    from gatescope.checking import Report, Residual


@command(
    LOOK,
    "RUN|TRACE [TEXT | --file FILE] [OPTIONS]",
    "gatescope check counter                      # on the first example of its task",
    "gatescope check runs/text --file notes.txt",
    "gatescope check traces/notes --json          # a trace directory, without the network",
)
def check(
    place: Annotated[str, Parameter(name="RUN", metavar="RUN|TRACE")],
    text: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    file: Path | None = None,
    encoding: Encoding = None,
    json: Json = False,
) -> int:
    """Compute every equation once more, in float64, on the recorded values, and say how far each one is off.

    Exit status 1 when an equation does not hold. A run is recorded on a text, and its drives are checked against its
    weights; a trace directory is checked from what it holds.

    Parameters
    ----------
    place
        A run directory, the name of a run in ./runs, or a trace directory that `gatescope record --out` wrote.
    text
        The text to record; - reads the standard input; the first example of the task when nothing is given.
    file
        Take the text from this file.
    """
    use_threads(1)
    report = _check_trace(Path(place), text, file) if is_trace(Path(place)) else _check_run(place, text, file, encoding)
    if json:
        print_json(report.to_json())
    else:
        show(report)
    return 0 if report.holds else 1


def _check_trace(path: Path, text: str | None, file: Path | None) -> Report:
    from gatescope.checking import check as check_values
    from gatescope.storage import open_trace

    if text is not None or file is not None:
        raise UsageError("CHECK_TRACE_HOLDS_OWN_TEXT", path=path)
    return check_values(open_trace(path))


def _check_run(place: str, text: str | None, file: Path | None, encoding: str | None) -> Report:
    from gatescope.recording import check_with, record

    run = find_run(place)
    network, _ = run.network()
    source = text_for(run.task(), text, file, encoding)
    warn_of_unknown(network.configuration.vocabulary, source)
    return check_with(network, record(network, source, answers=run.task().answers))


def show(report: Report) -> None:
    """Print every residual, and what they say together."""
    rows = [
        (
            residual.layer,
            residual.name,
            residual.formula,
            _size(residual),
            _where(residual),
            _says(residual, report.tolerance),
        )
        for residual in report.residuals
    ]
    print_table(("layer", "", "equation", "residual", "largest at", ""), rows, right=("residual",))
    wrong = [r for r in report.residuals if r.largest is not None and r.largest > report.tolerance]
    numbers = f"(largest residual {report.largest:.1e}, tolerance {report.tolerance:.0e})"
    print()
    if wrong:
        worst = max(wrong, key=lambda residual: residual.largest or 0.0)
        count = "1 equation does" if len(wrong) == 1 else f"{len(wrong)} equations do"
        print(f"{count} not hold {numbers}; the worst is {worst.name} of {worst.layer} at {_where(worst)}")
    elif not report.holds:
        print("no equation could be checked: the trace does not hold what they use; record it with its drives")
    elif report.unchecked:
        print(f"every equation that could be checked holds {numbers}; {len(report.unchecked)} could not be checked")
    else:
        print(f"every equation holds {numbers}")


def _size(residual: Residual) -> str:
    return "" if residual.largest is None else f"{residual.largest:.1e}"


def _where(residual: Residual) -> str:
    """The place of the largest residual."""
    if not residual.largest:
        return ""
    return f"sequence {residual.sequence}, step {residual.step}, neuron {residual.neuron}"


def _says(residual: Residual, tolerance: float) -> str:
    if residual.largest is None:
        return f"not checked: the trace has no {', '.join(residual.missing)}"
    return "" if residual.largest <= tolerance else "DOES NOT HOLD"
