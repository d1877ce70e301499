"""What an adopted network predicts: which matrix, what its rows stand for, and when it is read.

What the user says counts, then what the file says, then shapes. Where more than one thing fits, the error asks.

`V` symbol, `H` what the highest layer hands on, `O` what is predicted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gatescope.adopting import hidden_layers
from gatescope.adopting.foreign import NONE, AdoptingError, Foreign, Head, listed
from gatescope.adopting.left_over import is_readout
from gatescope.head import HiddenLayer
from gatescope.readout import SYMBOLS, Kind, Readout, ReadoutError, Reads, classes, numbers
from gatescope.vocabulary import Vocabulary

OF_EMBEDDINGS = ("emb", "wte", "lookup")
NOTHING = "nothing"  # the name of what a network of numbers without a readout predicts


@dataclass(frozen=True)
class Asked:
    """What the user said; None, or empty, where nothing.

    Attributes:
        matrix: the name of the readout, or "none".
        predicts: what its rows stand for.
        names: of the classes or numbers.
        reads: when it is read.
        head: the names of its hidden layers, from the recurrent layers upwards.
        activation: of these, one for all or one each, separated by commas.
    """

    matrix: str | None = None
    predicts: Kind | None = None
    names: tuple[str, ...] = ()
    reads: Reads | None = None
    head: tuple[str, ...] = ()
    activation: str | None = None


@dataclass(frozen=True)
class Predicting:
    """The readout of a network.

    Attributes:
        weights, biases: of it.
        readout: what it says, and when.
        matrix: the name of its weights in the file, or "none".
        used: the names of the arrays it was made of.
        notes: what was assumed, one sentence each.
        hidden: its hidden layers, and their weights (neurons, inputs) and biases (neurons,).
    """

    weights: Float[Tensor, "O H"]
    biases: Float[Tensor, "O"]
    readout: Readout
    matrix: str = NONE
    used: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    hidden: tuple[tuple[HiddenLayer, Tensor, Tensor], ...] = ()


@dataclass(frozen=True)
class Below:
    """What the readout reads.

    Attributes:
        width: how many numbers (H).
        stack: whose numbers.
        alone: whether there are no other stacks, which the readout may read instead.
        both_ways: whether they are of both directions.
        embedding: the name of the matrix that is no readout.
    """

    width: int
    stack: str
    alone: bool
    both_ways: bool
    embedding: str


def predicting(foreign: Foreign, vocabulary: Vocabulary, below: Below, asked: Asked) -> Predicting:
    """The readout that was asked for, or that the file has.

    Raises:
        AdoptingError: more than one would fit, or what was asked for does not.
    """
    if asked.predicts == "symbols" and vocabulary.unit == "number":
        raise AdoptingError("PREDICTING_NETWORK_READS_NUMBERS_SYMBOLS")
    head = foreign.heads.get(below.stack, Head())
    if asked.matrix == NONE:
        return _silent(foreign, vocabulary, below, head)
    if asked.matrix is None and head.matrix == NONE:
        raise AdoptingError(
            "PREDICTING_PREDICTS_BEFORE_PREDICTIONS_STANDS", value=head.between or "another kind of layer"
        )
    if asked.matrix is not None and asked.matrix != head.matrix:
        head = Head(reads=head.reads)
    inner, name = _hidden(foreign, vocabulary, below, asked, head)
    _check_layout(foreign, (*inner, name), below)
    if inner:
        below = replace(below, width=len(foreign.matrices[inner[-1]]))
    weights = _matrix(foreign, name, vocabulary, below, asked)
    biases, used = _biases(foreign, len(weights), name)
    notes: list[str] = []
    if name == below.embedding:
        notes.append(f"The readout is {name}, which the symbols are read with as well.")
    kind, said = _kind(name, len(weights), vocabulary, asked, head)
    notes += said
    if kind == "classes" and len(weights) == 1:
        # The softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)).
        weights = torch.cat([torch.zeros_like(weights), weights])
        biases = torch.cat([torch.zeros_like(biases), biases])
        if head.activation != "sigmoid":
            notes.append(
                f"{name} has one row: the sigmoid of its number was taken for the probability of the second class."
            )
    reads, said = _reads(name, kind, below, asked, head)
    notes += said
    names = asked.names or tuple(str(k) for k in range(len(weights)))
    if kind != "symbols" and len(names) != len(weights):
        raise AdoptingError(
            "PREDICTING_PREDICTS_NAMES_GIVEN",
            name=name,
            count=len(weights),
            kind=kind,
            count2=len(names),
            listed=listed(names),
        )
    try:
        readout = (
            Readout(reads=reads)
            if kind == "symbols"
            else (classes if kind == "classes" else numbers)(names, reads=reads)
        )
    except ReadoutError as error:
        raise AdoptingError(str(error)) from error
    layers, also = _layers_of(foreign, inner, asked, head)
    return Predicting(weights, biases, readout, name, (name, *used, *also), notes, layers)


def is_embedding(name: str) -> bool:
    """Whether a matrix is called one."""
    return any(word in name.lower() for word in OF_EMBEDDINGS)


# --- which matrix ----------------------------------------------------------------------------------------------------


def _only(foreign: Foreign, vocabulary: Vocabulary, below: Below, asked: Asked) -> str | None:
    """The one matrix that fits; None where there is none."""
    matrices = {name: value for name, value in foreign.matrices.items() if name != below.embedding}
    reading = {name: len(value) for name, value in matrices.items() if value.shape[1] == below.width}
    if vocabulary.unit != "number" and asked.predicts in (None, "symbols") and not asked.names:
        fitting = [name for name, rows in reading.items() if rows == vocabulary.size]
        # An embedding of another part of the model is no readout, if something else can be.
        fitting = [name for name in fitting if not is_embedding(name)] or fitting
        if fitting:
            return _one(fitting, f"{vocabulary.size} symbols from {below.width} numbers")
    if asked.predicts == "symbols":
        return None
    # What another matrix reads again is no prediction; one that is square (transitions between classes) says nothing.
    again = {value.shape[1] for value in matrices.values() if len(value) != value.shape[1]}
    fitting = [name for name, rows in reading.items() if rows not in again and not is_embedding(name)]
    if asked.names:
        wanted = {len(asked.names)} | ({1} if len(asked.names) == 2 and asked.predicts != "numbers" else set())
        fitting = [name for name in fitting if reading[name] in wanted] or fitting
    if fitting and not below.alone:
        # It may as well read one of the layers that were not chosen.
        return _one([*fitting, NONE], f"{below.width} numbers of {below.stack}")
    return _one(fitting, f"classes or numbers from {below.width} numbers") if fitting else None


def _hidden(
    foreign: Foreign, vocabulary: Vocabulary, below: Below, asked: Asked, head: Head
) -> tuple[tuple[str, ...], str]:
    """The names of the hidden layers, and of the readout.

    Raises:
        AdoptingError: there seem to be hidden layers, and their activation was not given; or something does not fit.
    """
    # A tied readout reads again what the symbols are read with.
    biases = {bias for name in foreign.matrices for bias in _bias_names(name) if bias != name}
    flat = {name for name, value in foreign.matrices.items() if 1 in value.shape and name in biases}
    matrices = {name: value for name, value in foreign.matrices.items() if name not in flat | {below.embedding}}
    if asked.head:
        if asked.activation is None:
            raise hidden_layers.question((*asked.head, asked.matrix or "the readout"), matrices)
        inner = hidden_layers.chosen(matrices, below.width, asked.head)
        below = replace(below, width=len(matrices[inner[-1]]))
        foreign = replace(foreign, matrices={n: v for n, v in foreign.matrices.items() if n not in inner})
        return inner, _direct(foreign, vocabulary, below, asked, head)
    if head.matrix is not None and asked.activation is None:
        return tuple(name for name, _ in head.hidden), head.matrix  # the file itself says what stands between
    paths = [path for path in hidden_layers.paths(matrices, below.width, asked.matrix) if len(path) > 1]
    if vocabulary.unit != "number" and asked.predicts in (None, "symbols") and not asked.names:
        paths = [path for path in paths if len(matrices[path[-1]]) == vocabulary.size] or paths
    if asked.activation is not None and len(paths) != 1:
        there = listed(f"{name} {tuple(value.shape)}" for name, value in matrices.items())
        raise AdoptingError("PREDICTING_HEAD_ACTIVATION_ORDER_ALL", count=len(paths), there=there)
    if paths and asked.activation is None:
        raise hidden_layers.question(paths[0], matrices)
    return (paths[0][:-1], paths[0][-1]) if paths else ((), _direct(foreign, vocabulary, below, asked, head))


def _direct(foreign: Foreign, vocabulary: Vocabulary, below: Below, asked: Asked, head: Head) -> str:
    """The readout that reads what is below."""
    known = asked.matrix or head.matrix or _only(foreign, vocabulary, below, asked)
    return known or _tied(foreign, vocabulary, below, asked)


def _layers_of(
    foreign: Foreign, names: Sequence[str], asked: Asked, head: Head
) -> tuple[tuple[tuple[HiddenLayer, Tensor, Tensor], ...], tuple[str, ...]]:
    """The hidden layers with their weights and biases, and the names of the arrays these were."""
    if not names:
        return (), ()
    found, used, known = [], list(names), tuple(activation for _, activation in head.hidden)
    if asked.activation is not None or not known:
        known = hidden_layers.activations(asked.activation or "none", len(names))
    for name, activation in zip(names, known, strict=True):
        weights = foreign.matrices[name]
        biases, beside = _biases(foreign, len(weights), name)
        found.append((HiddenLayer(len(weights), activation), weights, biases))
        used += beside
    return tuple(found), tuple(used)


def _tied(foreign: Foreign, vocabulary: Vocabulary, below: Below, asked: Asked) -> str:
    """The embedding as the readout, where its biases are there.

    Raises:
        AdoptingError: nothing shows that the readout is tied.
    """
    table = foreign.matrices.get(below.embedding)
    fits = table is not None and tuple(table.shape) == (vocabulary.size, below.width)
    if fits and asked.predicts in (None, "symbols") and not asked.names and _bias_like(foreign, vocabulary.size):
        return below.embedding
    reading = [
        f"{name} {tuple(value.shape)}"
        for name, value in foreign.matrices.items()
        if value.shape[1] == below.width and name != below.embedding
    ]
    besides = f" What reads {below.width} numbers: {listed(reading, 3)}." if reading else ""
    tied = f" If the symbols are predicted with the embedding: --readout {below.embedding}." if fits else ""
    raise AdoptingError("PREDICTING_PREDICTS_MATRIX_READS_NUMBERS", width=below.width, besides=besides, tied=tied)


def _bias_like(foreign: Foreign, size: int) -> list[str]:
    """The names of vectors of a size that are called biases of a readout, or of nothing in particular."""
    return [
        name
        for name, value in foreign.vectors.items()
        if len(value) == size
        and re.fullmatch(r"b[a-z]?|b_\w+|\w*_b|\w*bias\w*", re.split(r"[./]", name.lower())[-1])
        and (is_readout(name) or re.fullmatch(r"bias|b|b_?(y|o|q|hy|out\w*|\d+)|(y|o)_b", name.lower()))
    ]


def _one(names: list[str], what: str) -> str:
    if len(names) > 1:
        there = [name for name in names if name != NONE]
        raise AdoptingError(
            "PREDICTING_READOUT_WOULD_FIT_SAY", listed=listed(there), what=what, there=there[0], none=NONE
        )
    return names[0]


def _matrix(foreign: Foreign, name: str, vocabulary: Vocabulary, below: Below, asked: Asked) -> Tensor:
    """A matrix by its name, turned round where only that fits."""
    if name not in foreign.matrices:
        raise AdoptingError("ASSEMBLING_MATRIX_FILE", name=name, listed=listed(foreign.matrices))
    value = foreign.matrices[name]
    rows = vocabulary.size if asked.predicts == "symbols" else None
    for found in (value, value.t()):
        if found.shape[1] == below.width and rows in (None, len(found)):
            return found
    wanted = "(what is predicted" if rows is None else f"({rows}"
    raise AdoptingError(
        "PREDICTING_READOUT_PREDICTED_LAST_LAYER", name=name, shape=tuple(value.shape), wanted=wanted, width=below.width
    )


def _check_layout(foreign: Foreign, names: Sequence[str], below: Below) -> None:
    """Refuse square matrices of a file that has its recurrent weights as (inputs, outputs)."""
    for name in names:
        shape = tuple(foreign.matrices[name].shape) if name in foreign.matrices else ()
        if foreign.turned and name != below.embedding and len(set(shape)) == 1:
            raise AdoptingError("PREDICTING_LAYOUT_SHAPE_SHOWS_INPUTS", name=name, shape=shape)


def _silent(foreign: Foreign, vocabulary: Vocabulary, below: Below, head: Head) -> Predicting:
    """No readout: every symbol alike, or the number 0."""
    besides = f" ({head.between} stands between)" if head.between else ""
    if vocabulary.unit == "number":
        readout, what, says = numbers([NOTHING]), "a prediction", "the number 0"
    else:
        readout, what, says = SYMBOLS, f"{vocabulary.size} symbols", "every symbol alike"
    note = (
        f"No readout from the {below.width} numbers of the last layer to {what} was taken{besides}: the run predicts "
        f"{says}. Its gates and states are those of the file's network."
    )
    size = readout.size(vocabulary.size)
    return Predicting(torch.zeros(size, below.width), torch.zeros(size), readout, notes=[note])


def _biases(foreign: Foreign, size: int, name: str) -> tuple[Tensor, tuple[str, ...]]:
    """The biases of a readout: the vector of its name, else the only one that fits, else 0; and the name of it."""
    for candidate in _bias_names(name):
        if candidate != name and candidate in foreign.vectors and len(foreign.vectors[candidate]) == size:
            return foreign.vectors[candidate], (candidate,)
    others = {bias for matrix in foreign.matrices if matrix != name for bias in _bias_names(matrix) if bias != matrix}
    fitting = [key for key in _bias_like(foreign, size) if key != name and key not in others]
    if len(fitting) == 1:
        return foreign.vectors[fitting[0]], (fitting[0],)
    return torch.zeros(size), ()


def _bias_names(name: str) -> Iterable[str]:
    """What the biases beside a matrix are called."""
    for weight, bias in (("weight", "bias"), ("kernel", "bias"), ("_w", "_b"), ("W_", "b_"), (".w", ".b"), ("W", "b")):
        yield bias.join(name.rsplit(weight, 1))
    yield name.replace("Wh", "b")  # min-char-rnn: Why, by
    yield f"{name}_bias"


# --- what it says, and when ------------------------------------------------------------------------------------------


def _kind(name: str, rows: int, vocabulary: Vocabulary, asked: Asked, head: Head) -> tuple[Kind, list[str]]:
    """What the rows of the readout stand for, and what is to be said about that."""
    written = vocabulary.unit != "number"
    if asked.predicts is not None or asked.names:
        return asked.predicts or "classes", []
    if written and rows == vocabulary.size and head.predicts != "numbers":
        return "symbols", []
    if head.activation == "sigmoid" and rows > 1:
        said = f"{name} gives the probabilities of {rows} things that do not exclude each other, each the sigmoid of a "
        return "numbers", [said + "number; the run estimates these numbers."]
    if head.predicts is not None:
        return head.predicts, []
    if head.activation in ("softmax", "sigmoid"):
        return "classes", []
    raise AdoptingError("PREDICTING_PREDICT_ROWS_MAY_STAND", name=name, rows=rows)


def _reads(name: str, kind: Kind, below: Below, asked: Asked, head: Head) -> tuple[Reads, list[str]]:
    """When the readout is read, and what is to be said about that."""
    if asked.reads is not None:
        return asked.reads, []
    if kind == "symbols" and not below.both_ways:
        return "every step", []
    if head.reads is not None:
        return head.reads, []
    if below.both_ways:
        raise AdoptingError("PREDICTING_WHEN_READ_AFTER_EVERY_2", name=name)
    raise AdoptingError("PREDICTING_WHEN_READ_AFTER_EVERY", name=name)
