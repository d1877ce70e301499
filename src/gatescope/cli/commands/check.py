"""`gatescope check`: compare recorded values with the equations of the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gatescope.cli.app import INSPECT_GROUP, command
from gatescope.cli.options import ExampleText, Json, RunOrTrace, use_threads
from gatescope.cli.output import harmless, print_json, print_table, print_unknown_symbols
from gatescope.cli.subject import find_run, is_trace, read_text
from gatescope.cli.usage import UsageError

if TYPE_CHECKING:
    from gatescope.checking import Report, Residual


@command(INSPECT_GROUP)
def check(
    run_or_trace: RunOrTrace,
    text: ExampleText = None,
    /,
    *,
    file: Path | None = None,
    encoding: str | None = None,
    json: Json = False,
) -> int:
    """Evaluate every equation again in float64 on the recorded values, and print the residuals."""
    use_threads(1)
    if is_trace(Path(run_or_trace)):
        report = _check_trace(Path(run_or_trace), text, file)
    else:
        report = _check_run(run_or_trace, text, file, encoding)
    if json:
        print_json(report.to_json())
    else:
        print_report(report)
    return 0 if report.holds else 1


def _check_trace(path: Path, text: str | None, file: Path | None) -> Report:
    from gatescope.checking import check as check_values
    from gatescope.storage import open_trace

    if text is not None or file is not None:
        raise UsageError("CLI_TRACE_WITH_TEXT", trace=path)
    return check_values(open_trace(path))


def _check_run(name: str, text: str | None, file: Path | None, encoding: str | None) -> Report:
    from gatescope.recording import check_with, record

    run = find_run(name)
    network, _ = run.network()
    source = read_text(run.task(), text, file, encoding)
    print_unknown_symbols(network.configuration.vocabulary, source)
    return check_with(network, record(network, source, answers=run.task().answers))


def print_report(report: Report) -> None:
    """Print every residual and the verdict."""
    rows = [
        (
            residual.layer,
            residual.name,
            residual.formula,
            "" if residual.largest is None else f"{residual.largest:.1e}",
            _position(residual),
            _remark(residual, report.tolerance),
        )
        for residual in report.residuals
    ]
    print_table(("layer", "", "equation", "residual", "largest at", ""), rows, right=("residual",))
    print(f"\n{_verdict(report)}")


def _verdict(report: Report) -> str:
    failed = [r for r in report.residuals if r.largest is not None and r.largest > report.tolerance]
    size = f"largest residual {report.largest:.1e}, tolerance {report.tolerance:.0e}"
    if failed:
        worst = max(failed, key=lambda residual: residual.largest or 0.0)
        count = "1 equation does" if len(failed) == 1 else f"{len(failed)} equations do"
        where = f"{harmless(worst.name)} of {harmless(worst.layer)} at {_position(worst)}"
        return f"{count} not hold ({size}). The largest residual is that of {where}."
    if not report.holds:
        return "No equation could be checked: the trace lacks the values that they read. Record it with its drives."
    if report.unchecked:
        return f"Every equation that could be checked holds ({size}). {len(report.unchecked)} could not be checked."
    return f"Every equation holds ({size})."


def _position(residual: Residual) -> str:
    """Return the position of the largest residual, in words."""
    if not residual.largest:
        return ""
    return f"sequence {residual.sequence}, step {residual.step}, neuron {residual.neuron}"


def _remark(residual: Residual, tolerance: float) -> str:
    if residual.largest is None:
        return f"not checked: the trace has no {', '.join(residual.missing)}"
    return "" if residual.largest <= tolerance else "DOES NOT HOLD"
