"""`gatescope adopt`: a network that was trained elsewhere as a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gatescope.cli.app import FOREIGN, command
from gatescope.cli.common import RUNS, Encoding, Json, UsageError, harmless, print_json, quoted, use_threads
from gatescope.errors import GatescopeError

MOST_INPUTS = 100_000  # numbers at a step

if TYPE_CHECKING:
    from gatescope.adopting import Adoption
    from gatescope.trace import Trace
    from gatescope.vocabulary import Vocabulary


@command(
    FOREIGN,
    "FILE (--vocabulary FILE | --corpus FILE | --inputs NAMES) [OPTIONS]",
    "gatescope adopt model.pt --vocabulary symbols.json --text notes.txt",
    "gatescope adopt sentiment.keras --vocabulary words.json --classes bad,good",
    "gatescope adopt tagger.pt --vocabulary words.json --classes tags.txt --reads 'every step'",
    "gatescope adopt forecast.pt --inputs temperature --predicts numbers --reads 'every step'",
    "gatescope adopt char-rnn.npz --corpus input.txt --run runs/char-rnn",
    "gatescope adopt translate.onnx --vocabulary vocab.json:target --layers decoder",
    "gatescope adopt explorer.json --out traces/explorer   # a recording of lstm-explorer",
)
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
    encoding: Encoding = None,
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
    """Make a run of a network that was trained elsewhere; every other command then works on it.

    FILE is a PyTorch state dict (.pt, .pth), .safetensors, .npz, a Keras model (.keras, .h5) or an ONNX model. Nothing
    in it is executed. Its recurrent layers, embedding and readout are found by names and shapes; where more than one
    fits, nothing is guessed, and the error lists what to choose from.

    Parameters
    ----------
    path
        The file.
    vocabulary
        The symbols in the order of their ids: a JSON list, a JSON object (symbol -> id or id -> symbol), or a text with
        one symbol a line. FILE:NAME takes one entry of a JSON object of several vocabularies; bytes, alone, are the 256
        bytes of UTF-8.
    corpus
        Take the different characters of this text, in the order of their code points, as the vocabulary.
    inputs
        The network reads numbers: how many at a step, or their names, separated by commas.
    unit
        What a symbol of the vocabulary is; by default words, if most are longer than a character.
    unknown
        The symbol that was learned for unknown ones, such as <unk>; without one they are read as zeros.
    text
        A text for the network to read: what `record`, `check` and the studies of this run work on.
    encoding
        The encoding of the corpus and of the text, such as cp1252 or gb18030; UTF-8 by default.
    run
        The directory of the run; runs/ and the name of the file by default.
    layers
        Which recurrent layers, from the input upwards, where the file has several.
    embedding
        Which matrix holds the vectors of the symbols, or one-hot.
    readout
        Which matrix predicts, or none.
    predicts
        What its rows stand for, where the file does not say: the symbols, classes or numbers. One row of classes is a
        sigmoid and becomes two.
    classes
        The names of the classes, separated by commas or in a file (as a vocabulary is); 0, 1, ... by default.
    numbers
        The names of the numbers that are predicted, in the same way.
    reads
        When it predicts, where the file does not say: after every step, or once at the end of a sequence.
    directions
        How the readout hears the two directions of the last layer, where the file does not say: one beside the other,
        their sum or their average.
    nonlinearity
        Activation of simple recurrent layers. Files of weights do not record it.
    head
        The hidden layers of the readout, from the recurrent layers upwards; found by their shapes when
        --head-activation is given.
    head_activation
        What follows each hidden layer of the readout: none, relu, tanh, sigmoid, gelu, leaky_relu, elu, selu, silu or
        softplus; one for all or one each. Files of weights do not record it.
    gates
        Order of the gates where the arrays do not have torch's names and layout: ifgo (torch, Keras), iofg (ONNX), rzn.
    ignore
        Arrays of the file that are no part of the network, such as 'encoder.*'. Without this, arrays that are left
        over and could change a number are refused.
    end
        The symbol that ends a sequence; the next one starts from the initial state.
    out
        For a recording of lstm-explorer: the trace directory to write.
    """
    use_threads(1)
    if path.suffix == ".json":
        return _adopt_recording(path, out, json)
    if out is not None:
        raise UsageError("ADOPT_OUT_RECORDING_LSTM_EXPLORER")
    from gatescope.adopting import adopt as adopt_network
    from gatescope.tasks.data.corpus import read as read_text

    symbols = _symbols(vocabulary, corpus, inputs, unit, end, encoding)
    if classes is not None and numbers is not None:
        raise UsageError("ADOPT_CLASSES_NUMBERS_BOTH_GIVEN")
    named = classes if classes is not None else numbers
    reading = text or corpus
    try:
        found = adopt_network(
            path,
            run or _free(RUNS / path.stem),
            symbols,
            unit=unit,
            end=end,
            unknown=unknown,
            layers=layers.split(",") if layers else (),
            embedding=embedding,
            readout=readout,
            predicts=predicts or ("numbers" if numbers is not None else "classes" if classes is not None else None),
            names=_names(named) if named is not None else (),
            reads=reads,
            directions=directions,
            nonlinearity=nonlinearity,
            head=head.split(",") if head else (),
            head_activation=head_activation,
            gates=gates,
            ignore=ignore.split(",") if ignore else (),
            text=read_text([reading], encoding=encoding).text if reading is not None else "",
        )
    except ImportError as error:
        raise UsageError(str(error)) from error
    said = _about(found)
    if said["warning"] is not None:
        print(said["warning"], file=sys.stderr)
    if json:
        print_json(said)
    else:
        _print(found, said)
    return 0


def _adopt_recording(path: Path, out: Path | None, json: bool) -> int:
    """A recording as a trace; exit status 1 where it does not satisfy its equations."""
    from gatescope.adopting import read_lstm_explorer
    from gatescope.checking import check
    from gatescope.storage import save_trace

    if out is None:
        raise UsageError("ADOPT_READ_RECORDING_LSTM_EXPLORER", path=path)
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
    from gatescope.cli.commands.check import show

    neurons = ", ".join(f"{layer}: {about['neurons']} neurons" for layer, about in trace.attributes["layers"].items())
    print(f"{out}: {int(trace.lengths.sum()):,} steps of an LSTM ({neurons})\n")
    for note in trace.attributes["notes"]:
        print(f"note: {harmless(note)}")
    print()
    show(check(trace))
    for layer, signal, holds, steps in steps_that_hold(trace):
        print(f"{signal} of {layer} holds for all neurons at {holds:,} of {steps:,} steps")
    print(f"\n  check it again   gatescope check {quoted(out)}")


def _symbols(
    vocabulary: str | None,
    corpus: Path | None,
    inputs: str | None,
    unit: str | None,
    end: str | None,
    encoding: str | None,
) -> Vocabulary | str:
    """The vocabulary, or the file that it is in."""
    from gatescope.tasks.data.corpus import read as read_text
    from gatescope.vocabulary import Vocabulary

    if unit == "byte" and vocabulary is None and corpus is None:
        vocabulary = "bytes"
    options = {"--vocabulary": vocabulary, "--corpus": corpus, "--inputs": inputs}
    given = [name for name, value in options.items() if value is not None]
    if len(given) != 1:
        raise UsageError(
            "a network needs its symbols, --vocabulary FILE or --corpus FILE, or, if it reads numbers, --inputs NAMES; "
            + (f"{' and '.join(given)} were both given." if given else "neither was given.")
        )
    if unit is not None and vocabulary is None:
        raise UsageError("ADOPT_UNIT_SYMBOL_VOCABULARY_GIVEN", given=given[0])
    try:
        if inputs is not None:
            if end is not None:
                raise UsageError("ADOPT_END_SYMBOL_SEQUENCE_NUMBERS")
            return Vocabulary(_inputs(inputs), unit="number")
        if corpus is not None:
            return Vocabulary.of(read_text([corpus], encoding=encoding).text, end)
        if unit == "byte" or (vocabulary == "bytes" and not Path(vocabulary).exists()):
            return Vocabulary.of_bytes(end)
    except ValueError as error:
        if isinstance(error, GatescopeError):
            raise
        raise UsageError(str(error)) from error
    return str(vocabulary)


def _inputs(given: str) -> tuple[str, ...]:
    """The names of the numbers of a step."""
    if given.isdecimal():
        if not 0 < int(given[:9]) <= MOST_INPUTS:
            raise UsageError("ADOPT_INPUTS_STEP_NUMBERS", given=given, most_inputs=MOST_INPUTS)
        return tuple(str(k) for k in range(int(given)))
    return tuple(name.strip() for name in given.split(","))


def _names(given: str) -> list[str]:
    """Names, separated by commas or in a file."""
    from gatescope.adopting import AdoptingError, read_names

    place = Path(given)
    if place.is_file() or (":" in given and Path(given.rpartition(":")[0]).is_file()):
        found = read_names(given).names
        names = [name for name in found if name is not None]
        if len(names) < len(found):
            raise AdoptingError("ADOPT_NAMES_NONE_NUMBER", given=given, count=len(names), index=found.index(None))
        return names
    return [name.strip() for name in given.split(",")]


def _free(path: Path) -> Path:
    """The path, with a number behind it where it is taken."""
    found, number = path, 2
    while found.exists():
        found, number = path.with_name(f"{path.name}-{number}"), number + 1
    return found


def _about(found: Adoption) -> dict[str, Any]:
    """What was adopted, as JSON."""
    from gatescope.recording import check_with, record
    from gatescope.tasks import Adopted

    network, task = found.assembled.network, found.run.task()
    configuration = network.configuration
    report = check_with(network, record(network, task.examples()[0]))
    return {
        "run": str(found.run.path),
        "format": found.format,
        "layers": [
            {"name": layer.name, "cell": layer.cell.name, "neurons": layer.neurons, "layer": name}
            for name, layer in zip(configuration.names, found.assembled.layers, strict=True)
        ],
        "embedding": found.assembled.embedding,
        "readout": found.assembled.readout,
        "symbols": configuration.vocabulary.size,
        "unit": configuration.vocabulary.unit,
        "predicts": configuration.readout.to_json(),
        "notes": list(found.notes),
        "residual": report.largest,
        "tolerance": report.tolerance,
        "score": None if found.score is None else found.score.to_json(),
        "warning": task.warning if isinstance(task, Adopted) else None,
    }


def _print(found: Adoption, said: dict[str, Any]) -> None:
    configuration = found.assembled.network.configuration
    vocabulary, readout = configuration.vocabulary, configuration.readout
    what = "symbols" if vocabulary.unit == "character" else f"{vocabulary.unit}s"
    print(f"{said['run']}: a network of {said['format']}, {vocabulary.size:,} {what}")
    rows = [("reads", f"{vocabulary.size:,} {what}", said["embedding"])]
    rows += [
        (name, f"{layer.cell.title}, {layer.neurons} neurons", layer.name)
        for name, layer in zip(configuration.names, found.assembled.layers, strict=True)
    ]
    names = f": {', '.join(readout.names[:6])}{', ...' if len(readout.names) > 6 else ''}" if readout.names else ""
    when = "" if readout.reads == "every step" else ", at the last step"
    rows += [("predicts", f"{readout.kind}{names}{when}", said["readout"])]
    from gatescope.cli.common import print_table

    print_table(("", "", "in the file"), rows)
    for note in said["notes"]:
        if note != said["warning"]:
            print(f"note: {harmless(note)}")
    if said["score"] is not None:
        print(f"{said['score']['text']} (knowing only how often each occurs: {said['score']['chance']:.3f})")
    holds = "every equation holds" if said["residual"] <= said["tolerance"] else "NOT every equation holds"
    print(f"{holds} (largest residual {said['residual']:.1e}, tolerance {said['tolerance']:.0e})")
    place = quoted(found.run.path)
    print(f"\n  look inside     gatescope explore {place}")
    if readout.kind == "symbols" and not configuration.both_ways:
        print(f"  let it write    gatescope sample {place}")
    example = "some text" if vocabulary.unit != "number" else ",".join("0" for _ in vocabulary.symbols)
    print(f"  check it        gatescope check {place} {example!r}" if len(example) < 99 else "")
