"""The readout of an adopted network: which matrix predicts, what its rows stand for, and when it is read.

The user's answers come first, then the file's description, then shapes. If more than one matrix fits, an error lists
them and the option that chooses one.

`V` symbol, `H` output of the highest layer, `O` row of the readout.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gatescope.adopting import hidden_layers
from gatescope.adopting.foreign import NONE, AdoptingError, Foreign, Head, listed, option, with_shapes
from gatescope.adopting.left_over import is_readout
from gatescope.adopting.readout_parts import Answers, ReadoutInput, ReadoutParts
from gatescope.head import HiddenLayer
from gatescope.messages import Message
from gatescope.readout import SYMBOLS, Kind, Readout, ReadoutError, Reads, classes, numbers
from gatescope.vocabulary import Vocabulary

EMBEDDING_WORDS = ("emb", "wte", "lookup")
NOTHING = "nothing"  # the name of the prediction of a network of numbers without a readout


def readout_of(foreign: Foreign, vocabulary: Vocabulary, source: ReadoutInput, answers: Answers) -> ReadoutParts:
    """Return the readout that the user named, or that the file has.

    Args:
        foreign: the file.
        vocabulary: the symbols, or the names of the numbers.
        source: the input of the readout.
        answers: the user's answers.

    Raises:
        AdoptingError: more than one matrix fits, or the named one does not.
    """
    if answers.predicts == "symbols" and vocabulary.unit == "number":
        raise AdoptingError("PREDICTS_SYMBOLS_OF_NUMBERS", predicts=option("predicts"))
    head = foreign.heads.get(source.stack, Head())
    if answers.matrix == NONE:
        return _without_readout(vocabulary, source, head)
    if answers.matrix is None and head.matrix == NONE:
        reason = head.reason or Message("READOUT_OTHER_LAYER")
        raise AdoptingError("FOREIGN_READOUT_OTHER", stack=source.stack, reason=reason, option=option("readout", NONE))
    if answers.matrix is not None and answers.matrix != head.matrix:
        head = Head(reads=head.reads)
    inner, name = _hidden_and_readout(foreign, vocabulary, source, answers, head)
    _check_layout(foreign, (*inner, name), source)
    if inner:
        source = replace(source, width=len(foreign.matrices[inner[-1]]))
    weights = _matrix(foreign, name, vocabulary, source, answers)
    biases, used = _biases(foreign, len(weights), name)
    notes: list[str] = []
    if name == source.embedding:
        notes.append(f"The readout is {name}, the embedding of the symbols.")
    kind, kind_notes = _kind(name, len(weights), vocabulary, answers, head)
    notes += kind_notes
    if kind == "classes" and len(weights) == 1:
        # The softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)).
        weights = torch.cat([torch.zeros_like(weights), weights])
        biases = torch.cat([torch.zeros_like(biases), biases])
        if head.activation != "sigmoid":
            notes.append(f"{name} has one row: the sigmoid of its output is taken as the probability of class 1.")
    reads = _reads(name, kind, source, answers, head)
    names = answers.names or tuple(str(k) for k in range(len(weights)))
    if kind != "symbols" and len(names) != len(weights):
        raise AdoptingError(
            "FOREIGN_READOUT_NAMES_COUNT_DIFFERS",
            name=name,
            expected=len(weights),
            kind=kind,
            count=len(names),
            names=listed(names),
        )
    try:
        readout = (
            Readout(reads=reads)
            if kind == "symbols"
            else (classes if kind == "classes" else numbers)(names, reads=reads)
        )
    except ReadoutError as error:
        raise AdoptingError(error.message) from error
    layers, hidden_used = _hidden_parts(foreign, inner, answers, head)
    return ReadoutParts(weights, biases, readout, name, (name, *used, *hidden_used), notes, layers)


def is_embedding(name: str) -> bool:
    """Return whether a matrix is named like an embedding."""
    return any(word in name.lower() for word in EMBEDDING_WORDS)


# --- which matrix ----------------------------------------------------------------------------------------------------


def _only_fit(foreign: Foreign, vocabulary: Vocabulary, source: ReadoutInput, answers: Answers) -> str | None:
    """Return the only matrix that fits; None if there is none."""
    matrices = {name: value for name, value in foreign.matrices.items() if name != source.embedding}
    rows = {name: len(value) for name, value in matrices.items() if value.shape[1] == source.width}
    if vocabulary.unit != "number" and answers.predicts in (None, "symbols") and not answers.names:
        fitting = [name for name, count in rows.items() if count == vocabulary.size]
        # An embedding of another part of the model is no readout, if something else can be.
        fitting = [name for name in fitting if not is_embedding(name)] or fitting
        if fitting:
            return _single(foreign, fitting, source)
    if answers.predicts == "symbols":
        return None
    # A matrix is no readout if another matrix reads its output. Square matrices do not count as readers, because they
    # may hold the transitions between the predicted classes.
    read_by_others = {value.shape[1] for value in matrices.values() if len(value) != value.shape[1]}
    fitting = [name for name, count in rows.items() if count not in read_by_others and not is_embedding(name)]
    if answers.names:
        counts = {len(answers.names)} | ({1} if len(answers.names) == 2 and answers.predicts != "numbers" else set())
        fitting = [name for name in fitting if rows[name] in counts] or fitting
    if fitting and not source.alone:
        # The matrix may be the readout of another stack of the file.
        return _single(foreign, [*fitting, NONE], source)
    return _single(foreign, fitting, source) if fitting else None


def _hidden_and_readout(
    foreign: Foreign, vocabulary: Vocabulary, source: ReadoutInput, answers: Answers, head: Head
) -> tuple[tuple[str, ...], str]:
    """Return the names of the hidden layers, and of the readout.

    Raises:
        AdoptingError: a matrix does not fit, or the file seems to have hidden layers without a known activation.
    """
    biases = {bias for name in foreign.matrices for bias in _bias_names(name) if bias != name}
    flat = {name for name, value in foreign.matrices.items() if 1 in value.shape and name in biases}
    # The embedding is no hidden layer, even if the readout is tied to it.
    matrices = {name: value for name, value in foreign.matrices.items() if name not in flat | {source.embedding}}
    if answers.head:
        if answers.activation is None:
            raise hidden_layers.question((*answers.head, answers.matrix or "the readout"), matrices)
        inner = hidden_layers.chosen(matrices, source.width, answers.head)
        source = replace(source, width=len(matrices[inner[-1]]))
        foreign = replace(foreign, matrices={n: v for n, v in foreign.matrices.items() if n not in inner})
        return inner, _readout_name(foreign, vocabulary, source, answers, head)
    if head.matrix is not None and answers.activation is None:
        # The file itself describes the hidden layers.
        return hidden_layers.chosen(foreign.matrices, source.width, [name for name, _ in head.hidden]), head.matrix
    paths = [path for path in hidden_layers.paths(matrices, source.width, answers.matrix) if len(path) > 1]
    if vocabulary.unit != "number" and answers.predicts in (None, "symbols") and not answers.names:
        paths = [path for path in paths if len(matrices[path[-1]]) == vocabulary.size] or paths
    if answers.activation is not None and len(paths) != 1:
        raise AdoptingError(
            "FOREIGN_HEAD_ORDER_AMBIGUOUS",
            option=option("head_activation", answers.activation),
            count=len(paths),
            matrices=listed(with_shapes(matrices)),
            head=option("head"),
        )
    if paths and answers.activation is None:
        raise hidden_layers.question(paths[0], matrices)
    return (paths[0][:-1], paths[0][-1]) if paths else ((), _readout_name(foreign, vocabulary, source, answers, head))


def _readout_name(foreign: Foreign, vocabulary: Vocabulary, source: ReadoutInput, answers: Answers, head: Head) -> str:
    """Return the name of the readout."""
    known = answers.matrix or head.matrix or _only_fit(foreign, vocabulary, source, answers)
    return known or _tied(foreign, vocabulary, source, answers)


def _hidden_parts(
    foreign: Foreign, names: Sequence[str], answers: Answers, head: Head
) -> tuple[tuple[tuple[HiddenLayer, Tensor, Tensor], ...], tuple[str, ...]]:
    """Return the hidden layers with their weights and biases, and the names of these arrays."""
    if not names:
        return (), ()
    layers, used, activations = [], list(names), tuple(activation for _, activation in head.hidden)
    if answers.activation is not None or not activations:
        activations = hidden_layers.activations(answers.activation or "none", len(names))
    for name, activation in zip(names, activations, strict=True):
        weights = foreign.matrices[name]
        biases, bias_names = _biases(foreign, len(weights), name)
        layers.append((HiddenLayer(len(weights), activation), weights, biases))
        used += bias_names
    return tuple(layers), tuple(used)


def _tied(foreign: Foreign, vocabulary: Vocabulary, source: ReadoutInput, answers: Answers) -> str:
    """Return the embedding as the readout, if biases for it are in the file.

    Raises:
        AdoptingError: nothing shows that the readout is tied.
    """
    table = foreign.matrices.get(source.embedding)
    fits = table is not None and tuple(table.shape) == (vocabulary.size, source.width)
    if fits and answers.predicts in (None, "symbols") and not answers.names and _bias_like(foreign, vocabulary.size):
        return source.embedding
    reading = {
        name: value
        for name, value in foreign.matrices.items()
        if value.shape[1] == source.width and name != source.embedding
    }
    facts = {"width": source.width, "matrices": listed(with_shapes(reading), 3), "none": option("readout", NONE)}
    if fits:
        raise AdoptingError("FOREIGN_READOUT_MAYBE_TIED", tied=option("readout", source.embedding), **facts)
    raise AdoptingError("FOREIGN_READOUT_MISSING", option=option("readout"), **facts)


def _bias_like(foreign: Foreign, size: int) -> list[str]:
    """Return the names of vectors of a size that are named like biases of a readout, or of nothing in particular."""
    return [
        name
        for name, value in foreign.vectors.items()
        if len(value) == size
        and re.fullmatch(r"b[a-z]?|b_\w+|\w*_b|\w*bias\w*", re.split(r"[./]", name.lower())[-1])
        and (is_readout(name) or re.fullmatch(r"bias|b|b_?(y|o|q|hy|out\w*|\d+)|(y|o)_b", name.lower()))
    ]


def _single(foreign: Foreign, names: list[str], source: ReadoutInput) -> str:
    """Return the only name.

    Raises:
        AdoptingError: there are several.
    """
    if len(names) > 1:
        matrices = {name: foreign.matrices[name] for name in names if name != NONE}
        raise AdoptingError(
            "FOREIGN_READOUT_AMBIGUOUS",
            width=source.width,
            stack=source.stack,
            matrices=listed(with_shapes(matrices)),
            option=option("readout", names[0]),
            none=option("readout", NONE),
        )
    return names[0]


def _matrix(foreign: Foreign, name: str, vocabulary: Vocabulary, source: ReadoutInput, answers: Answers) -> Tensor:
    """Return a matrix by its name, transposed if only that fits."""
    if name not in foreign.matrices:
        raise AdoptingError(
            "MATRIX_NAME_UNKNOWN", option=option("readout", name), names=listed(with_shapes(foreign.matrices))
        )
    value = foreign.matrices[name]
    rows = vocabulary.size if answers.predicts == "symbols" else None
    for matrix in (value, value.t()):
        if matrix.shape[1] == source.width and rows in (None, len(matrix)):
            return matrix
    raise AdoptingError(
        "FOREIGN_READOUT_SHAPE_DIFFERS",
        option=option("readout", name),
        rows="outputs" if rows is None else rows,
        width=source.width,
        shape=tuple(value.shape),
    )


def _check_layout(foreign: Foreign, names: Sequence[str], source: ReadoutInput) -> None:
    """Refuse square matrices of a file that has its recurrent weights as (inputs, outputs)."""
    for name in names:
        shape = tuple(foreign.matrices[name].shape) if name in foreign.matrices else ()
        if foreign.transposed and name != source.embedding and len(set(shape)) == 1:
            raise AdoptingError("FOREIGN_READOUT_LAYOUT_AMBIGUOUS", name=name, shape=shape)


def _without_readout(vocabulary: Vocabulary, source: ReadoutInput, head: Head) -> ReadoutParts:
    """Return a readout that predicts every symbol alike, or the number 0."""
    reason = f" {head.reason}" if head.reason else ""
    if vocabulary.unit == "number":
        readout, outputs, predictions = numbers([NOTHING]), "predictions", "the number 0"
    else:
        readout, outputs, predictions = SYMBOLS, f"{vocabulary.size} symbols", "every symbol alike"
    note = (
        f"No readout from the {source.width} numbers of the last layer to {outputs} was taken: the run predicts "
        f"{predictions}. Its gates and states are those of the network in the file.{reason}"
    )
    size = readout.size(vocabulary.size)
    return ReadoutParts(torch.zeros(size, source.width), torch.zeros(size), readout, notes=[note])


def _biases(foreign: Foreign, size: int, name: str) -> tuple[Tensor, tuple[str, ...]]:
    """Return the biases of a matrix and their name: the vector named like it, else the only one that fits, else 0."""
    for candidate in _bias_names(name):
        if candidate != name and candidate in foreign.vectors and len(foreign.vectors[candidate]) == size:
            return foreign.vectors[candidate], (candidate,)
    others = {bias for matrix in foreign.matrices if matrix != name for bias in _bias_names(matrix) if bias != matrix}
    fitting = [key for key in _bias_like(foreign, size) if key != name and key not in others]
    if len(fitting) == 1:
        return foreign.vectors[fitting[0]], (fitting[0],)
    return torch.zeros(size), ()


def _bias_names(name: str) -> Iterable[str]:
    """Yield the usual names of the biases beside a matrix."""
    for weight, bias in (("weight", "bias"), ("kernel", "bias"), ("_w", "_b"), ("W_", "b_"), (".w", ".b"), ("W", "b")):
        yield bias.join(name.rsplit(weight, 1))
    yield name.replace("Wh", "b")  # min-char-rnn: Why, by
    yield f"{name}_bias"


# --- what is predicted, and when -------------------------------------------------------------------------------------


def _kind(name: str, rows: int, vocabulary: Vocabulary, answers: Answers, head: Head) -> tuple[Kind, list[str]]:
    """Return what the rows of the readout stand for, and notes about it."""
    has_symbols = vocabulary.unit != "number"
    if answers.predicts is not None or answers.names:
        return answers.predicts or "classes", []
    if has_symbols and rows == vocabulary.size and head.predicts != "numbers":
        return "symbols", []
    if head.activation == "sigmoid" and rows > 1:
        note = (
            f"{name} gives {rows} independent probabilities, each the sigmoid of a number; "
            "the run predicts these numbers."
        )
        return "numbers", [note]
    if head.predicts is not None:
        return head.predicts, []
    if head.activation in ("softmax", "sigmoid"):
        return "classes", []
    raise AdoptingError(
        "PREDICTS_UNKNOWN",
        name=name,
        rows=rows,
        classes=option("predicts", "classes"),
        numbers=option("predicts", "numbers"),
    )


def _reads(name: str, kind: Kind, source: ReadoutInput, answers: Answers, head: Head) -> Reads:
    """Return when the readout is read."""
    if answers.reads is not None:
        return answers.reads
    if kind == "symbols" and not source.both_ways:
        return "every step"
    if head.reads is not None:
        return head.reads
    every, last = option("reads", "every step"), option("reads", "last step")
    if source.both_ways:
        raise AdoptingError("READS_UNKNOWN_OF_DIRECTIONS", name=name, every=every, last=last)
    raise AdoptingError("READS_UNKNOWN", name=name, every=every, last=last, none=option("readout", NONE))
