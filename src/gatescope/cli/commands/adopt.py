"""`gatescope adopt`: import a network that was trained elsewhere as a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gatescope.cli.app import EXCHANGE_GROUP, command
from gatescope.cli.live import refuse_options
from gatescope.cli.new_run import free_path
from gatescope.cli.options import Json, use_threads
from gatescope.cli.output import (
    count_of,
    harmless,
    print_json,
    print_line_note,
    print_message,
    print_table,
    shell_quoted,
)
from gatescope.cli.subject import RUNS
from gatescope.cli.usage import UsageError
from gatescope.errors import GatescopeError

MAX_INPUTS = 100_000  # numbers at a step
MAX_EXAMPLE_CHARACTERS = 98  # of the example of `gatescope check`
SHOWN_NAMES = 6
LIVE_OPTIONS = ("path", "run", "json")  # of `adopt` for a live file or the zip file of a run

if TYPE_CHECKING:
    from gatescope.adopting import Adoption
    from gatescope.runs import Run
    from gatescope.trace import Trace
    from gatescope.vocabulary import Vocabulary


@command(EXCHANGE_GROUP)
def adopt(
    path: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    vocabulary: Annotated[str | None, Parameter(metavar="FILE[:NAME]")] = None,
    corpus: Path | None = None,
    inputs: Annotated[str | None, Parameter(metavar="COUNT|NAMES")] = None,
    unit: Literal["character", "byte", "word", "token"] | None = None,
    unknown: str | None = None,
    text: Path | None = None,
    encoding: str | None = None,
    run: Path | None = None,
    layers: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None,
    embedding: str | None = None,
    readout: str | None = None,
    predicts: Literal["symbols", "classes", "numbers"] | None = None,
    classes: Annotated[str | None, Parameter(metavar="NAMES|FILE")] = None,
    numbers: Annotated[str | None, Parameter(metavar="NAMES|FILE")] = None,
    reads: Literal["every step", "last step"] | None = None,
    directions: Literal["concat", "sum", "average"] | None = None,
    nonlinearity: Literal["tanh", "relu"] | None = None,
    head: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None,
    head_activation: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None,
    gates: Annotated[str | None, Parameter(metavar="LETTERS")] = None,
    ignore: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None,
    end: str | None = None,
    out: Path | None = None,
    json: Json = False,
) -> int:
    """Import a network that was trained elsewhere as a run, on which every other command works."""
    given = dict(locals())
    use_threads(1)
    if path.suffix == ".json":
        return _import_recording(path, out, json)
    if path.suffix.lower() in (".html", ".htm"):
        refuse_options("html", {_option(name): value for name, value in given.items() if name not in LIVE_OPTIONS})
        return _adopt_live_file(path, run or free_path(RUNS / path.stem), json=json)
    from gatescope.adopting import adopt as adopt_network
    from gatescope.adopting import check_file, is_run_zip
    from gatescope.tasks.data.corpus import read as read_corpus

    if is_run_zip(path):
        refuse_options("zip", {_option(name): value for name, value in given.items() if name not in LIVE_OPTIONS})
        return _adopt_zip(path, run or free_path(RUNS / path.stem), json=json)
    if out is not None:
        raise UsageError("ADOPT_OUT_WITHOUT_RECORDING")
    check_file(path)
    symbols = _vocabulary_of(vocabulary, corpus, inputs, unit, end, encoding)
    if classes is not None and numbers is not None:
        raise UsageError("ADOPT_CLASSES_AND_NUMBERS")
    output_names = classes if classes is not None else numbers
    source = text or corpus
    try:
        adoption = adopt_network(
            path,
            run or free_path(RUNS / path.stem),
            symbols,
            unit=unit,
            end=end,
            unknown=unknown,
            layers=layers.split(",") if layers else (),
            embedding=embedding,
            readout=readout,
            predicts=predicts or ("numbers" if numbers is not None else "classes" if classes is not None else None),
            names=_parse_names(output_names) if output_names is not None else (),
            reads=reads,
            directions=directions,
            nonlinearity=nonlinearity,
            head=head.split(",") if head else (),
            head_activation=head_activation,
            gates=gates,
            ignore=ignore.split(",") if ignore else (),
            text=read_corpus([source], encoding=encoding).text if source is not None else "",
        )
    except ImportError as error:
        raise UsageError("CLI_PACKAGE_MISSING", reason=error) from error
    summary = _summary(adoption)
    if summary["warning"] is not None:
        print(harmless(summary["warning"]), file=sys.stderr)
    if json:
        print_json(summary)
    else:
        _print_adoption(adoption, summary)
    return 0


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _adopt_live_file(path: Path, place: Path, *, json: bool) -> int:
    """Make a run of a live file."""
    from gatescope.explorer.live import restore

    _print_run(restore(path, place), path, "ADOPT_LIVE_FILE", "a live file", json=json)
    return 0


def _adopt_zip(path: Path, place: Path, *, json: bool) -> int:
    """Make a run of a zip file."""
    from gatescope.adopting import unpack_run

    run = unpack_run(path, place)
    _print_run(run, path, "ADOPT_ZIP", "a zip file of a run", json=json)
    if json:
        return 0
    if run.last_checkpoint() is not None:
        print_message("NEXT_TRAIN_ON", command=f"gatescope train --resume --run {shell_quoted(run.path)}")
    return 0


def _import_recording(path: Path, out: Path | None, json: bool) -> int:
    """Write a recording of lstm-explorer as a trace. The exit status is 1 if an equation does not hold."""
    from gatescope.adopting import read_lstm_explorer
    from gatescope.checking import check
    from gatescope.storage import save_trace

    if out is None:
        raise UsageError("ADOPT_RECORDING_WITHOUT_OUT", path=path)
    trace = read_lstm_explorer(path)
    save_trace(trace, out, dtype="float32")
    report = check(trace)
    if json:
        print_json({"trace": str(out), "steps": int(trace.lengths.sum()), "check": report.to_json()})
    else:
        _print_recording(trace, out)
    return 0 if report.holds else 1


def _print_recording(trace: Trace, out: Path) -> None:
    from gatescope.adopting import steps_that_hold
    from gatescope.checking import check
    from gatescope.cli.commands.check import print_report

    layers = trace.attributes["layers"]
    neurons = ", ".join(f"{layer}: {count_of(about['neurons'], 'neuron')}" for layer, about in layers.items())
    print_message("ADOPT_RECORDING", out=out, steps=int(trace.lengths.sum()), neurons=neurons)
    print()
    for note in trace.attributes["notes"]:
        print_line_note(note)
    print()
    print_report(check(trace))
    for layer, signal, holding, steps in steps_that_hold(trace):
        print_message("ADOPT_HOLDS_AT", signal=signal, layer=layer, holding=holding, steps=steps)
    print()
    print_message("NEXT_CHECK_AGAIN", command=f"gatescope check {shell_quoted(out)}")


def _vocabulary_of(
    vocabulary: str | None,
    corpus: Path | None,
    inputs: str | None,
    unit: str | None,
    end: str | None,
    encoding: str | None,
) -> Vocabulary | str:
    """Return the vocabulary that the options describe, or the file that holds it.

    Raises:
        UsageError: the options do not go together, or their symbols make no vocabulary.
    """
    from gatescope.tasks.data.corpus import read as read_corpus
    from gatescope.vocabulary import Vocabulary

    if unit == "byte" and vocabulary is None and corpus is None:
        vocabulary = "bytes"
    options = {"--vocabulary": vocabulary, "--corpus": corpus, "--inputs": inputs}
    names = [name for name, value in options.items() if value is not None]
    if not names:
        raise UsageError("ADOPT_SYMBOLS_MISSING")
    if len(names) > 1:
        raise UsageError("ADOPT_SYMBOLS_TWICE", options=" and ".join(names))
    if unit is not None and vocabulary is None:
        raise UsageError("ADOPT_UNIT_WITHOUT_VOCABULARY", option=names[0])
    try:
        if inputs is not None:
            if end is not None:
                raise UsageError("ADOPT_END_OF_NUMBERS")
            return Vocabulary(_parse_inputs(inputs), unit="number")
        if corpus is not None:
            return Vocabulary.of(read_corpus([corpus], encoding=encoding).text, end)
        if unit == "byte" or (vocabulary == "bytes" and not Path(vocabulary).exists()):
            return Vocabulary.of_bytes(end)
    except ValueError as error:
        if isinstance(error, GatescopeError):
            raise
        raise UsageError("ADOPT_VOCABULARY_IMPOSSIBLE", reason=error) from error
    return str(vocabulary)


def _parse_inputs(text: str) -> tuple[str, ...]:
    """Return the names of the numbers of a step."""
    if text.isdecimal():
        if not 0 < int(text[:9]) <= MAX_INPUTS:
            raise UsageError("ADOPT_INPUTS_COUNT", inputs=text, max_inputs=MAX_INPUTS)
        return tuple(map(str, range(int(text))))
    return tuple(name.strip() for name in text.split(","))


def _parse_names(text: str) -> list[str]:
    """Return names that are separated by commas or stand in a file."""
    from gatescope.adopting import AdoptingError, read_names

    path = Path(text)
    if path.is_file() or (":" in text and Path(text.rpartition(":")[0]).is_file()):
        entries = read_names(text).names
        names = [name for name in entries if name is not None]
        if len(names) < len(entries):
            raise AdoptingError("ADOPT_NAME_MISSING", file=text, count=len(names), index=entries.index(None))
        return names
    return [name.strip() for name in text.split(",")]


def _summary(adoption: Adoption) -> dict[str, Any]:
    """Describe the run of an adopted network as JSON values."""
    from gatescope.recording import check_with, record
    from gatescope.tasks import Adopted

    network, task = adoption.assembled.network, adoption.run.task()
    configuration = network.configuration
    report = check_with(network, record(network, task.examples()[0]))
    return {
        "run": str(adoption.run.path),
        "format": adoption.format,
        "layers": [
            {"name": layer.name, "cell": layer.cell.name, "neurons": layer.neurons, "layer": name}
            for name, layer in zip(configuration.names, adoption.assembled.layers, strict=True)
        ],
        "embedding": adoption.assembled.embedding,
        "readout": adoption.assembled.readout,
        "symbols": configuration.vocabulary.size,
        "unit": configuration.vocabulary.unit,
        "predicts": configuration.readout.to_json(),
        "notes": list(adoption.notes),
        "residual": report.largest,
        "tolerance": report.tolerance,
        "score": None if adoption.score is None else adoption.score.to_json(),
        "warning": task.warning if isinstance(task, Adopted) else None,
    }


def _print_adoption(adoption: Adoption, summary: dict[str, Any]) -> None:
    configuration = adoption.assembled.network.configuration
    vocabulary, readout = configuration.vocabulary, configuration.readout
    unit = "symbol" if vocabulary.unit == "character" else vocabulary.unit
    inputs = count_of(vocabulary.size, unit)
    print_message("ADOPT_SUMMARY", run=summary["run"], format=summary["format"], inputs=inputs)
    rows = [("input", inputs, summary["embedding"])]
    rows += [
        (name, f"{layer.cell.title}, {count_of(layer.neurons, 'neuron')}", layer.name)
        for name, layer in zip(configuration.names, adoption.assembled.layers, strict=True)
    ]
    more = ", ..." if len(readout.names) > SHOWN_NAMES else ""
    names = f": {', '.join(readout.names[:SHOWN_NAMES])}{more}" if readout.names else ""
    when = "" if readout.reads == "every step" else ", at the last step"
    rows += [("output", f"{readout.kind}{names}{when}", summary["readout"])]
    print_table(("", "", "in the file"), rows)
    for note in summary["notes"]:
        if note != summary["warning"]:
            print_line_note(note)
    score = summary["score"]
    if score is not None:
        print_message("ADOPT_SCORE", score=score["text"], chance=score["chance"])
    holds = summary["residual"] <= summary["tolerance"]
    print_message(
        "CHECK_HOLDS" if holds else "CHECK_HOLDS_NOT", largest=summary["residual"], tolerance=summary["tolerance"]
    )
    path = shell_quoted(adoption.run.path)
    print()
    print_message("NEXT_LOOK_INSIDE", command=f"gatescope explore {path}")
    if readout.kind == "symbols" and not configuration.both_ways:
        print_message("NEXT_SAMPLE", command=f"gatescope sample {path}")
    example = "some text" if vocabulary.unit != "number" else ",".join("0" for _ in vocabulary.symbols)
    if len(example) <= MAX_EXAMPLE_CHARACTERS:
        print_message("NEXT_CHECK", command=f"gatescope check {path} {example!r}")


def _print_run(run: Run, file: Path, code: str, form: str, *, json: bool) -> None:
    """Print that a file has become a run."""
    _, step = run.network()
    if json:
        print_json({"run": str(run.path), "format": form, "training_step": step})
        return
    print_message(code, path=run.path, name=file.name, step=step)
    print()
    print_message("NEXT_LOOK_INSIDE", command=f"gatescope explore {shell_quoted(run.path)}")
