"""`gatescope check`: compare recorded values with the equations of the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatescope.cli.app import INSPECT_GROUP, command
from gatescope.cli.options import ExampleText, Json, RunOrTrace, use_threads
from gatescope.cli.output import harmless, localized, phrase, print_json, print_table, print_unknown_symbols
from gatescope.cli.subject import find_run, is_trace, read_text
from gatescope.cli.usage import UsageError
from gatescope.messages import Message

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
            localized(_position(residual)),
            _remark(residual, report.tolerance),
        )
        for residual in report.residuals
    ]
    print_table(("layer", "", "equation", "residual", "largest at", ""), rows, right=("residual",))
    print(harmless(f"\n{localized(_verdict(report))}"))


def _verdict(report: Report) -> Message:
    failed = [r for r in report.residuals if r.largest is not None and r.largest > report.tolerance]
    size: dict[str, Any] = {"largest": report.largest, "tolerance": report.tolerance}
    if failed:
        worst = max(failed, key=lambda residual: residual.largest or 0.0)
        place = {"signal": worst.name, "layer": worst.layer, "position": _position(worst)}
        return Message("CHECK_FAILS", equations=len(failed), **size, **place)
    if not report.holds:
        return Message("CHECK_NOTHING_CHECKED")
    if report.unchecked:
        return Message("CHECK_HOLDS_IN_PART", unchecked=len(report.unchecked), **size)
    return Message("CHECK_HOLDS", **size)


def _position(residual: Residual) -> Message | str:
    """Return the position of the largest residual, in words."""
    if not residual.largest:
        return ""
    place = {"sequence": residual.sequence, "step": residual.step, "neuron": residual.neuron}
    return Message("CHECK_POSITION", **place)


def _remark(residual: Residual, tolerance: float) -> str:
    if residual.largest is None:
        return phrase("CHECK_NOT_CHECKED", missing=", ".join(residual.missing))
    return "" if residual.largest <= tolerance else phrase("CHECK_DOES_NOT_HOLD")
