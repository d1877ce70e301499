"""`gatescope record`: everything a network does on a text, on the screen or in a directory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gatescope.cli.app import LOOK, command
from gatescope.cli.common import (
    Encoding,
    Flag,
    Json,
    UsageError,
    file_size,
    find_run,
    note_of_adoption,
    print_json,
    print_table,
    quoted,
    text_for,
    use_threads,
    visible,
    warn_of_unknown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatescope.network import Network
    from gatescope.readout import Readout
    from gatescope.trace import Trace

SHOWN = 200  # steps that are printed


@command(
    LOOK,
    "RUN [TEXT | --file FILE] [OPTIONS]",
    "gatescope record counter aaaXbbb",
    "gatescope record runs/text --file notes.txt --out traces/notes",
    "echo 'for x in range(10):' | gatescope record runs/text - --json",
)
def record(
    run: str,
    text: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    file: Path | None = None,
    encoding: Encoding = None,
    out: Path | None = None,
    dtype: Literal["float16", "float32"] = "float16",
    no_drives: Flag = False,
    overwrite: Flag = False,
    json: Json = False,
) -> None:
    """Run a network over a text and keep every signal of every neuron at every step, checked.

    Without --out the predictions and a summary of each signal are printed; with it, all values are kept in a trace
    directory, which any Zarr library opens, too.

    Parameters
    ----------
    run
        A run directory, or the name of a run in ./runs.
    text
        The text; - reads the standard input; the first example of the task when nothing is given.
    file
        Take the text from this file.
    out
        Write a trace directory here.
    dtype
        How precisely the trace directory stores values.
    no_drives
        Leave out the drives, the sums that go into the gates: half the size, but most equations cannot be checked.
    overwrite
        Replace a trace that is there.
    """
    use_threads(1)
    from gatescope.recording import record as record_in_memory

    place = find_run(run)
    network, step = place.network()
    task = place.task()
    note_of_adoption(task)
    source = text_for(task, text, file, encoding)
    warn_of_unknown(network.configuration.vocabulary, source)
    if out is not None:
        if not overwrite and out.is_dir() and any(out.iterdir()):
            raise UsageError("RECORD_ALREADY_ANOTHER_DIRECTORY_OVERWRITE", out=out)
        trace = _write(
            out,
            network,
            source,
            {"dtype": dtype, "drives": not no_drives, "overwrite": overwrite, "answers": place.task().answers},
            quiet=json,
        )
        size = sum(entry.stat().st_size for entry in out.rglob("*") if entry.is_file())
        if json:
            print_json({"trace": str(out), "bytes": size, **_about(trace, step)})
        else:
            _tell(trace, out, size)
        return
    if overwrite:
        raise UsageError("RECORD_OVERWRITE_OUT_DIR_GIVEN")
    trace = record_in_memory(network, source, drives=not no_drives, answers=place.task().answers)
    if json:
        print_json({**_about(trace, step), "steps": _steps(trace), "signals": _signals(trace)})
    else:
        _print(trace)


def _write(out: Path, network: Network, source: str, settings: dict[str, Any], *, quiet: bool) -> Trace:
    """Record to a directory, with a bar."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from gatescope.recording import record_to

    console = Console(stderr=True)
    columns = (TextColumn("recording"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        entry = bar.add_task("", total=None)
        return record_to(
            out,
            network,
            source,
            progress=lambda done, total: bar.update(entry, completed=done, total=total),
            **settings,
        )


def _about(trace: Trace, step: int) -> dict[str, Any]:
    return {
        "training_step": step,
        "sequences": len(trace.lengths),
        "total_steps": int(trace.lengths.sum()),
        "residual": trace.attributes["residual"],
        "tolerance": trace.attributes["tolerance"],
    }


def _steps(trace: Trace, most: int | None = None) -> list[dict[str, Any]]:
    """What was read and predicted at each step."""
    import numpy as np

    from gatescope.readout import Readout

    readout, vocabulary = Readout.from_json(trace.attributes["readout"]), trace.vocabulary
    read = trace.steps["input" if vocabulary.unit == "number" else "token"]
    told = _numbers if readout.kind == "numbers" else _classes if readout.kind == "classes" else _symbols
    found: list[dict[str, Any]] = []
    for sequence, length in enumerate(trace.lengths):
        # Ids beyond the symbols are unknown characters; nothing predicts them.
        labels = vocabulary.labels(np.asarray(read[sequence])[:length])
        for step in range(int(length)):
            if most is not None and len(found) == most:
                return found
            about = {"sequence": sequence, "step": step, "symbol": labels[step]}
            found.append({**about, **told(trace, readout, sequence, step)})
    return found


def _symbols(trace: Trace, readout: Readout, sequence: int, step: int) -> dict[str, Any]:
    told = float(trace.steps["log_probability"][sequence, step])
    symbols = trace.vocabulary.symbols
    return {"log_probability_of_next": told, "predictions": _best(trace, "symbol", symbols, sequence, step)}


def _classes(trace: Trace, readout: Readout, sequence: int, step: int) -> dict[str, Any]:
    right = int(trace.steps["target"][sequence, step])
    return {
        "right": readout.names[right] if right >= 0 else None,
        "log_probability_of_right": float(trace.steps["log_probability"][sequence, step]),
        "predictions": _best(trace, "class", readout.names, sequence, step),
    }


def _best(trace: Trace, what: str, names: Sequence[str], sequence: int, step: int) -> list[dict[str, Any]]:
    """The most probable symbols or classes; none where nothing was said."""
    return [
        {what: names[int(token)], "probability": float(share)}
        for token, share in zip(
            trace.steps["top_token"][sequence, step], trace.steps["top_probability"][sequence, step], strict=True
        )
        if token >= 0
    ]


def _numbers(trace: Trace, readout: Readout, sequence: int, step: int) -> dict[str, Any]:
    """The right values and the estimates, by name; of quantiles "name 0.1"."""
    levels = [f" {level:g}" for level in readout.quantiles] or [""]
    names = [name + level for name in readout.names for level in levels]
    values = (trace.steps["value"][sequence, step].tolist(), trace.steps["estimate"][sequence, step].tolist())
    return {
        "right": dict(zip(readout.names, values[0], strict=True)),
        "estimates": dict(zip(names, values[1], strict=True)),
    }


def _signals(trace: Trace) -> list[dict[str, Any]]:
    """Describe each signal of each layer, with the range of its values."""
    import numpy as np

    found = []
    for layer in trace.layers:
        about = trace.attributes["layers"][layer]["arrays"]
        for name, values in trace[layer].items():
            if "." in name:
                continue
            known = np.asarray(values)[~np.isnan(values)]
            numbers = {"least": float(known.min()), "mean": float(known.mean()), "greatest": float(known.max())}
            found.append({"layer": layer, "signal": name, **about[name], "neurons": values.shape[2], **numbers})
    return found


def _print(trace: Trace) -> None:
    """The predictions step by step, a summary of the signals, the largest residual."""
    entries = _steps(trace, SHOWN)
    rows = [(str(entry["sequence"]), str(entry["step"]), visible(entry["symbol"]), *_told(entry)) for entry in entries]
    last = ["expects next", "what came had"]
    if entries and "right" in entries[0]:
        last = ["estimates", "right"] if "estimates" in entries[0] else ["says", "right", "which had"]
    columns = ["sequence", "step", "reads", *last]
    if len(trace.lengths) == 1:
        columns, rows = columns[1:], [row[1:] for row in rows]
    print_table(columns, rows, right=("sequence", "step", "what came had", "which had"))
    total = int(trace.lengths.sum())
    if total > SHOWN:
        print(f"... and {total - SHOWN:,} more steps; --out DIR keeps all of them, --json prints them")
    print()
    print_table(
        ("layer", "signal", "", "formula", "least", "mean", "greatest"),
        [
            (s["layer"], s["signal"], s["title"], s["formula"], *(f"{s[k]:.3f}" for k in ("least", "mean", "greatest")))
            for s in _signals(trace)
        ],
        right=("least", "mean", "greatest"),
    )
    print(f"\n{_verdict(trace)}")


def _told(entry: dict[str, Any]) -> tuple[str, ...]:
    """What was predicted at a step, and what was right, in columns."""
    if "estimates" in entry:
        right = "  ".join(f"{name} {value:.4g}" for name, value in entry["right"].items() if not math.isnan(value))
        return "  ".join(f"{k} {v:.4g}" for k, v in entry["estimates"].items() if not math.isnan(v)), right
    what = "class" if "right" in entry else "symbol"
    said = "  ".join(f"{visible(p[what])} {p['probability']:.1%}" for p in entry["predictions"][:3])
    share = math.exp(entry["log_probability_of_right" if what == "class" else "log_probability_of_next"])
    had = "" if math.isnan(share) else f"{share:.1%}"
    return (said, visible(entry["right"] or ""), had) if what == "class" else (said, had)


def _verdict(trace: Trace) -> str:
    residual, tolerance = trace.attributes["residual"], trace.attributes["tolerance"]
    if residual <= tolerance:
        return f"every equation holds (largest residual {residual:.1e}, tolerance {tolerance:.0e})"
    return (
        f"NOT every equation holds (largest residual {residual:.1e}, tolerance {tolerance:.0e}); see `gatescope check`"
    )


def _tell(trace: Trace, out: Path, size: int) -> None:
    print(f"{out}: {int(trace.lengths.sum()):,} steps, {file_size(size)}; {_verdict(trace)}")
    print(f"\n  check it again   gatescope check {quoted(out)}")
    print(f"  open in Python   gatescope.open_trace({str(out)!r})")
