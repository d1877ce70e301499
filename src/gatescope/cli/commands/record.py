"""`gatescope record`: record everything a network computes on a text, for the screen or a trace directory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gatescope.cli.app import INSPECT_GROUP, command
from gatescope.cli.options import ExampleText, Flag, Json, RunName, use_threads
from gatescope.cli.output import (
    format_file_size,
    localized,
    localized_title,
    print_json,
    print_message,
    print_table,
    print_unknown_symbols,
    progress_bar,
    shell_quoted,
    visible,
)
from gatescope.cli.subject import find_run, print_adoption, read_text
from gatescope.cli.usage import UsageError
from gatescope.messages import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatescope.readout import Readout
    from gatescope.trace import Trace

SHOWN_STEPS = 200
SHOWN_PREDICTIONS = 3


@command(INSPECT_GROUP)
def record(
    name: RunName,
    text: ExampleText = None,
    /,
    *,
    file: Path | None = None,
    encoding: str | None = None,
    out: Annotated[Path | None, Parameter(metavar="DIR")] = None,
    dtype: Literal["float16", "float32"] = "float16",
    no_drives: Flag = False,
    overwrite: Flag = False,
    json: Json = False,
) -> None:
    """Run a network over a text, and record and check every signal of every neuron at every step."""
    use_threads(1)
    from gatescope.recording import record as record_in_memory
    from gatescope.recording import record_to

    run = find_run(name)
    network, training_step = run.network()
    task = run.task()
    print_adoption(task)
    source = read_text(task, text, file, encoding)
    print_unknown_symbols(network.configuration.vocabulary, source)
    drives = not no_drives
    if out is not None:
        if not overwrite and out.is_dir() and any(out.iterdir()):
            raise UsageError("RECORD_OUT_EXISTS", out=out)
        with progress_bar("recording", quiet=json) as bar:
            trace = record_to(
                out,
                network,
                source,
                progress=bar,
                dtype=dtype,
                drives=drives,
                overwrite=overwrite,
                answers=task.answers,
            )
        nbytes = sum(entry.stat().st_size for entry in out.rglob("*") if entry.is_file())
        if json:
            print_json({"trace": str(out), "bytes": nbytes, **_summary(trace, training_step)})
        else:
            _print_trace_directory(trace, out, nbytes)
        return
    if overwrite:
        raise UsageError("RECORD_OVERWRITE_WITHOUT_OUT")
    trace = record_in_memory(network, source, drives=drives, answers=task.answers)
    if json:
        print_json({**_summary(trace, training_step), "steps": _steps(trace), "signals": _signals(trace)})
    else:
        _print_trace(trace)


def _summary(trace: Trace, training_step: int) -> dict[str, Any]:
    return {
        "training_step": training_step,
        "sequences": len(trace.lengths),
        "total_steps": int(trace.lengths.sum()),
        "residual": trace.attributes["residual"],
        "tolerance": trace.attributes["tolerance"],
    }


def _steps(trace: Trace, max_steps: int | None = None) -> list[dict[str, Any]]:
    """Return the input and the prediction of each step, as JSON values."""
    import numpy as np

    from gatescope.readout import Readout

    readout, vocabulary = Readout.from_json(trace.attributes["readout"]), trace.vocabulary
    inputs = trace.steps["input" if vocabulary.unit == "number" else "token"]
    predictions_of = {"numbers": _number_step, "classes": _class_step}.get(readout.kind, _symbol_step)
    entries: list[dict[str, Any]] = []
    for sequence, length in enumerate(trace.lengths):
        # Ids beyond the symbols are unknown characters, which are never predicted.
        labels = vocabulary.labels(np.asarray(inputs[sequence])[:length])
        for step in range(int(length)):
            if max_steps is not None and len(entries) == max_steps:
                return entries
            entry = {"sequence": sequence, "step": step, "symbol": labels[step]}
            entries.append({**entry, **predictions_of(trace, readout, sequence, step)})
    return entries


def _symbol_step(trace: Trace, readout: Readout, sequence: int, step: int) -> dict[str, Any]:
    return {
        "log_probability_of_next": float(trace.steps["log_probability"][sequence, step]),
        "predictions": _most_probable(trace, "symbol", trace.vocabulary.symbols, sequence, step),
    }


def _class_step(trace: Trace, readout: Readout, sequence: int, step: int) -> dict[str, Any]:
    target = int(trace.steps["target"][sequence, step])
    return {
        "right": readout.names[target] if target >= 0 else None,
        "log_probability_of_right": float(trace.steps["log_probability"][sequence, step]),
        "predictions": _most_probable(trace, "class", readout.names, sequence, step),
    }


def _most_probable(trace: Trace, kind: str, names: Sequence[str], sequence: int, step: int) -> list[dict[str, Any]]:
    """Return the most probable symbols or classes; none if the network makes no prediction at this step."""
    tokens = trace.steps["top_token"][sequence, step]
    probabilities = trace.steps["top_probability"][sequence, step]
    return [
        {kind: names[int(token)], "probability": float(probability)}
        for token, probability in zip(tokens, probabilities, strict=True)
        if token >= 0
    ]


def _number_step(trace: Trace, readout: Readout, sequence: int, step: int) -> dict[str, Any]:
    """Return the targets and the estimates by name; the estimate of a quantile is called "name 0.1"."""
    levels = [f" {level:g}" for level in readout.quantiles] or [""]
    names = [name + level for name in readout.names for level in levels]
    targets = trace.steps["value"][sequence, step].tolist()
    estimates = trace.steps["estimate"][sequence, step].tolist()
    return {
        "right": dict(zip(readout.names, targets, strict=True)),
        "estimates": dict(zip(names, estimates, strict=True)),
    }


def _signals(trace: Trace) -> list[dict[str, Any]]:
    """Describe each signal of each layer, with the range of its values."""
    import numpy as np

    signals = []
    for layer in trace.layers:
        about = trace.attributes["layers"][layer]["arrays"]
        for name, values in trace[layer].items():
            if "." in name:
                continue
            known = np.asarray(values)[~np.isnan(values)]
            extremes = {"least": float(known.min()), "mean": float(known.mean()), "greatest": float(known.max())}
            signals.append({"layer": layer, "signal": name, **about[name], "neurons": values.shape[2], **extremes})
    return signals


def _print_trace(trace: Trace) -> None:
    """Print the predictions step by step, a summary of each signal, and the largest residual."""
    entries = _steps(trace, SHOWN_STEPS)
    rows = [(str(e["sequence"]), str(e["step"]), visible(e["symbol"]), *_prediction_cells(e)) for e in entries]
    prediction_columns = ["prediction of next", "p(next)"]
    if entries and "right" in entries[0]:
        prediction_columns = ["estimate", "target"]
        if "estimates" not in entries[0]:
            prediction_columns = ["prediction", "target", "p(target)"]
    columns = ["sequence", "step", "input", *prediction_columns]
    if len(trace.lengths) == 1:
        columns, rows = columns[1:], [row[1:] for row in rows]
    print_table(columns, rows, right=("sequence", "step", "p(next)", "p(target)"))
    total = int(trace.lengths.sum())
    if total > SHOWN_STEPS:
        print_message("RECORD_MORE_STEPS", steps=total - SHOWN_STEPS)
    print()
    print_table(
        ("layer", "signal", "", "formula", "least", "mean", "greatest"),
        [
            (s["layer"], s["signal"], localized_title("signal", s["title"]), s["formula"], *_range_cells(s))
            for s in _signals(trace)
        ],
        right=("least", "mean", "greatest"),
    )
    print(f"\n{localized(_verdict(trace))}")


def _range_cells(signal: dict[str, Any]) -> list[str]:
    return [f"{signal[key]:.3f}" for key in ("least", "mean", "greatest")]


def _prediction_cells(entry: dict[str, Any]) -> tuple[str, ...]:
    """Return the prediction of a step, its target and the probability of the target, as cells of a table."""
    if "estimates" in entry:
        estimates, targets = (
            "  ".join(f"{name} {value:.4g}" for name, value in entry[key].items() if not math.isnan(value))
            for key in ("estimates", "right")
        )
        return estimates, targets
    kind = "class" if "right" in entry else "symbol"
    predictions = "  ".join(
        f"{visible(prediction[kind])} {prediction['probability']:.1%}"
        for prediction in entry["predictions"][:SHOWN_PREDICTIONS]
    )
    log_probability = entry["log_probability_of_right" if kind == "class" else "log_probability_of_next"]
    probability = "" if math.isnan(log_probability) else f"{math.exp(log_probability):.1%}"
    if kind == "class":
        return predictions, visible(entry["right"] or ""), probability
    return predictions, probability


def _verdict(trace: Trace) -> Message:
    residual, tolerance = trace.attributes["residual"], trace.attributes["tolerance"]
    code = "CHECK_HOLDS" if residual <= tolerance else "CHECK_HOLDS_NOT"
    return Message(code, largest=residual, tolerance=tolerance)


def _print_trace_directory(trace: Trace, out: Path, nbytes: int) -> None:
    steps = int(trace.lengths.sum())
    print_message("RECORD_DIRECTORY", out=out, steps=steps, size=format_file_size(nbytes), verdict=_verdict(trace))
    print()
    print_message("NEXT_CHECK_AGAIN", command=f"gatescope check {shell_quoted(out)}")
    print_message("NEXT_OPEN_IN_PYTHON", command=f"gatescope.open_trace({str(out)!r})")
