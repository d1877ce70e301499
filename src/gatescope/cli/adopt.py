"""`gatescope adopt`: a network that was trained elsewhere as a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gatescope.cli.app import FOREIGN, command
from gatescope.cli.common import RUNS, Json, UsageError, print_json, quoted, use_threads
from gatescope.errors import GatescopeError

if TYPE_CHECKING:
    from gatescope.adopting import Adoption
    from gatescope.text import Vocabulary
    from gatescope.trace import Trace


@command(
    FOREIGN,
    "FILE (--vocabulary FILE | --corpus FILE) [OPTIONS]",
    "gatescope adopt model.pt --vocabulary symbols.json --text notes.txt",
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
    text: Path | None = None,
    run: Path | None = None,
    layers: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None,
    embedding: str | None = None,
    readout: str | None = None,
    nonlinearity: Literal["tanh", "relu"] | None = None,
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
    text
        A text for the network to read: what `record`, `check` and the studies of this run work on.
    run
        The directory of the run; runs/ and the name of the file when nothing is said.
    layers
        Which recurrent layers, from the input upwards, where the file has several.
    embedding
        Which matrix holds the vectors of the symbols, or one-hot.
    readout
        Which matrix predicts the next symbol, or none.
    nonlinearity
        Of simple recurrent layers, which files of weights do not say.
    end
        The symbol that ends a sequence; the next one starts from the initial state.
    out
        For a recording of lstm-explorer: the trace directory to write.
    """
    use_threads(1)
    if path.suffix == ".json":
        return _adopt_recording(path, out, json)
    if out is not None:
        raise UsageError("--out is for a recording of lstm-explorer (.json); a network becomes a run: --run DIR.")
    if (vocabulary is None) == (corpus is None):
        given = "both were given" if corpus is not None else "neither was given"
        raise UsageError(f"a network needs its symbols: --vocabulary FILE or --corpus FILE; {given}.")
    from gatescope.adopting import adopt as adopt_network
    from gatescope.tasks.corpus import read as read_text

    symbols = _symbols(vocabulary, corpus, end)
    reading = text or corpus
    try:
        found = adopt_network(
            path,
            run or _free(RUNS / path.stem),
            symbols,
            layers=layers.split(",") if layers else (),
            embedding=embedding,
            readout=readout,
            nonlinearity=nonlinearity,
            end=end,
            text=read_text([reading]).text if reading is not None else "",
        )
    except ImportError as error:
        raise UsageError(str(error)) from error
    said = _about(found)
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
        raise UsageError(
            f"{path} is read as a recording of lstm-explorer, which becomes a trace: --out DIR says where."
        )
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
    from gatescope.cli.check import show

    neurons = ", ".join(f"{layer}: {about['neurons']} neurons" for layer, about in trace.attributes["layers"].items())
    print(f"{out}: {int(trace.lengths.sum()):,} steps of an LSTM ({neurons})\n")
    for note in trace.attributes["notes"]:
        print(f"note: {note}")
    print()
    show(check(trace))
    for layer, signal, holds, steps in steps_that_hold(trace):
        print(f"{signal} of {layer} holds for all neurons at {holds:,} of {steps:,} steps")
    print(f"\n  check it again   gatescope check {quoted(out)}")


def _symbols(vocabulary: str | None, corpus: Path | None, end: str | None) -> Vocabulary | str:
    """The vocabulary, or the file that it is in."""
    from gatescope.tasks.corpus import read as read_text
    from gatescope.text import Vocabulary

    try:
        if corpus is not None:
            return Vocabulary.of(read_text([corpus]).text, end)
        if vocabulary == "bytes" and not Path(vocabulary).exists():
            return Vocabulary.of_bytes(end)
    except ValueError as error:
        if isinstance(error, GatescopeError):
            raise
        raise UsageError(str(error)) from error
    return str(vocabulary)


def _free(path: Path) -> Path:
    """The path, with a number behind it where it is taken."""
    found, number = path, 2
    while found.exists():
        found, number = path.with_name(f"{path.name}-{number}"), number + 1
    return found


def _about(found: Adoption) -> dict[str, Any]:
    """What was adopted, as JSON."""
    from functools import partial

    from gatescope.network import predict
    from gatescope.recording import check_with, record

    network, task = found.assembled.network, found.run.task()
    report = check_with(network, record(network, task.examples()[0]))
    # Without a readout the loss is that of knowing nothing, and without a text there is none.
    score = task.score(partial(predict, network)) if found.assembled.readout != "none" else None
    return {
        "run": str(found.run.path),
        "format": found.format,
        "layers": [
            {"name": layer.name, "cell": layer.cell.name, "neurons": layer.neurons} for layer in found.assembled.layers
        ],
        "embedding": found.assembled.embedding,
        "readout": found.assembled.readout,
        "symbols": network.configuration.vocabulary.size,
        "notes": list(found.notes),
        "residual": report.largest,
        "tolerance": report.tolerance,
        "score": score.to_json() if score is not None and not math.isnan(score.value) else None,
    }


def _print(found: Adoption, said: dict[str, Any]) -> None:
    print(f"{said['run']}: a network of {said['format']}, {said['symbols']:,} symbols")
    rows = [("reads", "", said["embedding"])]
    rows += [
        (f"layer{k}", f"{layer.cell.title}, {layer.neurons} neurons", layer.name)
        for k, layer in enumerate(found.assembled.layers)
    ]
    rows += [("predicts", "", said["readout"])]
    from gatescope.cli.common import print_table

    print_table(("", "", "in the file"), rows)
    for note in said["notes"]:
        print(f"note: {note}")
    if said["score"] is not None:
        print(f"{said['score']['text']} (knowing only how often each occurs: {said['score']['chance']:.3f})")
    holds = "every equation holds" if said["residual"] <= said["tolerance"] else "NOT every equation holds"
    print(f"{holds} (largest residual {said['residual']:.1e}, tolerance {said['tolerance']:.0e})")
    place = quoted(found.run.path)
    print(f"\n  look inside     gatescope explore {place}")
    print(f"  let it write    gatescope sample {place}")
    print(f"  check it        gatescope check {place} 'some text'")
